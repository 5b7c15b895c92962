# environment.json, one key per line, as YAML: `KEY: value`, without quotes wherever YAML would
# read that as the same text. Else it stays in quotes: a string of JSON is one of YAML as well.
s/^ *"([A-Za-z0-9_]+)": (".*"),?$/\1: \2/
t member
d
: member
h
s/^[^:]*: "(.*)"$/\1/
# Nothing; an escape; a sign with a meaning at the begin, or within.
/^$|\\|^[][{}",?:&*!|>'%@`#~<= -]|: |:$| #| $/b quoted
# A truth, a number, a date.
/^(y|n|yes|no|true|false|on|off|null|[-+]?\.(inf|nan))$/Ib quoted
/^[-+]?([0-9][0-9_,]*(:[0-5]?[0-9])*(\.[0-9_]*)?|\.[0-9_]+)(e[-+]?[0-9]+)?$/Ib quoted
/^[-+]?0[xob][0-9a-f_]+$/Ib quoted
/^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?$/b quoted
g
s/: "(.*)"$/: \1/p
d
: quoted
g
p
