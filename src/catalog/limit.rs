//! A member's memory as it is when its server starts, which may be long after its container was
//! made: a limit is changed without making anything anew.

use crate::model::Memory;

/// The word of a command that stands for it.
const WORD: &str = "{memory}";
/// Runs its arguments with the container's own limit for each such word. Fourteen digits are no
/// limit; then, and where the kernel names none, what the container was made with holds (`$0`).
const AT_START: &str = "
    own=
    for file in /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes; do
        [ -n \"$own\" ] || ! [ -r \"$file\" ] || read -r own < \"$file\"
    done
    case $own in '' | *[!0-9]* | ??????????????*) own=$0 ;; esac
    for word do
        shift
        [ \"$word\" != '{memory}' ] || word=$own
        set -- \"$@\" \"$word\"
    done
    exec \"$@\"";

/// A command that is given its limit at each start; unchanged where it asks for none.
pub(super) fn at_start(command: Vec<String>, memory: Memory) -> Vec<String> {
    if !command.iter().any(|word| word == WORD) {
        return command;
    }
    let shell = ["/bin/sh".to_owned(), "-c".to_owned(), AT_START.to_owned(), memory.bytes().to_string()];
    shell.into_iter().chain(command).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_command_that_asks_for_its_limit_is_given_one_when_it_starts() {
        let command = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let plain = command(&["/usr/lib/dotcloud/member", "pw"]);
        assert_eq!(at_start(plain.clone(), Memory::DEFAULT), plain);
        let wrapped = at_start(command(&["/usr/lib/dotcloud/member", "{memory}"]), Memory::DEFAULT);
        assert_eq!(wrapped[..2], ["/bin/sh", "-c"]);
        assert_eq!(wrapped[3..], ["268435456", "/usr/lib/dotcloud/member", "{memory}"]);
    }
}
