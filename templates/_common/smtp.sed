# environment.json, one key per line, as the settings with which `msmtp` hands mail over to the
# application's first smtp service.
s|^ *"DOTCLOUD_[A-Z0-9_]+_SMTP_URL": "smtp://[^@/]*@([^@/:]+):([0-9]+)",?$|host \1\nport \2|
t service
d
: service
s|^|account default\nfrom %U@%H\nlogfile /var/log/supervisor/mail.log\n|p
q
