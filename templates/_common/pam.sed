# environment.json, one key per line, for PAM, which makes the environment of cron's jobs of it:
# `KEY="value"`. It takes the outer quotes away and knows no escapes. What it cannot say, a line
# break or a #, is left out instead of cut off.
s/^ *"([A-Za-z0-9_]+)": (".*"),?$/\1=\2/
t member
d
: member
/#/d
s/\\\\/\x01/g
s/\\t/\t/g
/\\[^"]/d
s/\\"/"/g
s/\x01/\\/g
p
