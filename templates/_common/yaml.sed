# environment.json, one key per line, as YAML: `KEY: value`, without quotes wherever YAML would
# read that as the same text, or as the same number. Else it stays in quotes: a string of JSON is one of YAML as well.
s/^ *"([A-Za-z0-9_]+)": (".*"),?$/\1: \2/
t member
d
: member
h
s/^[^:]*: "(.*)"$/\1/
# Nothing; an escape; a sign with a meaning at the begin, or within.
/^$|\\|^[][{}",?:&*!|>'%@`#~<= -]|: |:$| #| $/b quoted
# A whole number is one, as it was on dotCloud: programs of 2012 read ports without quotes.
/^(0|[1-9][0-9]*)$/b plain
# A truth, another number, a date.
/^(y|n|yes|no|true|false|on|off|null|[-+]?\.(inf|nan))$/Ib quoted
/^[-+]?([0-9][0-9_,]*(:[0-5]?[0-9])*(\.[0-9_]*)?|\.[0-9_]+)(e[-+]?[0-9]+)?$/Ib quoted
/^[-+]?0[xob][0-9a-f_]+$/Ib quoted
/^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?$/b quoted
: plain
g
s/: "(.*)"$/: \1/p
d
: quoted
g
p
