# environment.json, one key per line, as commands for login shells; what is set already stays.
s/^ *"([A-Za-z0-9_]+)": "(.*)",?$/\1=\2/
t member
d
: member
s/\\\\/\x01/g
s/\\n/\n/g
s/\\t/\t/g
s/\\r/\r/g
s/\\"/"/g
s/\x01/\\/g
s/'/'\\''/g
s/^([^=]*)=(.*)$/[ "${\1+set}" ] || export \1='\2'/p
