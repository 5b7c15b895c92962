//! Files that editors and file systems keep beside the real ones.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

/// Swap files, locks, backups and half-written copies, by their names alone.
pub fn is_scratch(name: &OsStr) -> bool {
    let name = name.as_bytes();
    is_vim_swap(name)
        || (name.len() > 1 && name.ends_with(b"~"))
        || name.starts_with(b".#")
        || (name.len() > 2 && name.starts_with(b"#") && name.ends_with(b"#"))
        || name.ends_with(b".kate-swp")
        || name.starts_with(b".goutputstream-")
        || name.ends_with(b"___jb_tmp___")
        || name.ends_with(b"___jb_old___")
        // A deleted file that somebody still has open.
        || name.starts_with(b".nfs0")
        || name.starts_with(b".fuse_hidden")
}

/// `.wsgi.py.swp`, then `.swo`, `.swn`, … for every further editor.
fn is_vim_swap(name: &[u8]) -> bool {
    match name {
        [b'.', .., b'.', b's', b'w', last] => last.is_ascii_lowercase(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn editors_files_are_told_from_real_ones() {
        let scratch = [".wsgi.py.swp", ".a.swo", "a.py~", ".#a.py", "#a.py#", ".a.kate-swp", "a.py___jb_tmp___"];
        assert!(scratch.iter().all(|name| is_scratch(OsStr::new(name))));
        let real = ["a.py", "a.swp", ".swp", "~", "##", "#a", ".htaccess", "4913", ".dotcloudignore", "a.swf"];
        let taken: Vec<_> = real.iter().filter(|name| is_scratch(OsStr::new(name))).collect();
        assert!(taken.is_empty(), "{taken:?}");
    }
}
