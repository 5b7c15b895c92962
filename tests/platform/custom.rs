//! The type custom: a build script, and a home that holds what it put there.

use std::fs;
use std::path::Path;
use std::time::Duration;

use http::Method;

use super::race::answer;
use crate::support::platform::{Platform, copy_of};
use crate::support::wait_for;
use crate::turn;

#[test]
fn only_what_the_build_script_put_into_the_home_outlives_the_build() {
    let _turn = turn();
    let platform = Platform::new();
    let code = copy_of("samples/custom");
    platform.up(code.path(), "custom");
    assert!(page(&platform).starts_with("Hello from C, instance 0"), "the key of the build file came over");
    let home = inside(&platform, "ls; command -v cc || true");
    assert_eq!(
        home.split_whitespace().filter(|name| !name.starts_with("environment.")).collect::<Vec<_>>(),
        ["bin", "data", "profile", "run"]
    );

    let file = code.path().join("dotcloud.yml");
    let changed = fs::read_to_string(&file).unwrap().replace("Hello from C", "Good morning");
    fs::write(&file, changed).unwrap();
    let said = push(&platform, code.path(), &[]);
    assert!(said.contains("'server' is up to date"), "the previous home is there: {said}");
    assert!(page(&platform).starts_with("Good morning"));
    let said = push(&platform, code.path(), &["--clean"]);
    assert!(said.contains("cc -O2"), "and is not with --clean: {said}");

    what_fails_is_told_and_nothing_is_touched(&platform, code.path());
    processes_of_the_build_file_run_in_the_home(&platform, code.path());
}

fn what_fails_is_told_and_nothing_is_touched(platform: &Platform, code: &Path) {
    let refused = |service: &str, script: &str| {
        fs::write(code.join("dotcloud.yml"), format!("www:\n  type: custom\n{service}")).unwrap();
        fs::write(code.join("script"), script).unwrap();
        platform.refused(&["-A", "custom", "push", "--clean", code.to_str().unwrap()])
    };
    let script = "  buildscript: script\n";
    assert!(refused("  buildscript: gone\n", "").contains("buildscript 'gone' is not a file of the upload"));
    assert!(refused(script, "#!/bin/sh\nexit 3\n").contains("buildscript script failed with exit code 3"));
    assert!(refused(script, "#!/bin/bash\r\n").contains("there is no program '/bin/bash\\r'"));
    assert!(refused(script, "true\n").contains("~/run does not exist"));
    assert!(refused(script, "touch ~/run\n").contains("~/run is not executable"));
    assert!(page(platform).starts_with("Good morning"));
}

/// And the supervisord.conf of the service does not.
fn processes_of_the_build_file_run_in_the_home(platform: &Platform, code: &Path) {
    let build_file = "www:\n  type: custom\n  buildscript: script\n  process: ~/say $WORD > said; exec sleep 1000\n";
    fs::write(code.join("dotcloud.yml"), build_file).unwrap();
    fs::write(code.join("supervisord.conf"), "[program:other]\ncommand = sleep 1000\n").unwrap();
    let script = "cp -a . ~\nprintf '#!/bin/sh\\npwd; echo $1\\n' > ~/say\nchmod +x ~/say\necho 'export WORD=word' > ~/profile\n";
    fs::write(code.join("script"), script).unwrap();
    push(platform, code, &["--clean"]);
    let said = wait_for("the process has said its word", Duration::from_secs(10), || {
        Some(inside(platform, "cat said 2>/dev/null || true")).filter(|said| said.contains("word"))
    });
    assert_eq!(said, "/home/dotcloud\nword\n");
    let programs = inside(platform, "supervisorctl status");
    assert!(programs.starts_with("www ") && programs.lines().count() == 1, "{programs}");
}

fn push(platform: &Platform, code: &Path, more: &[&str]) -> String {
    platform.run(&[&["-A", "custom", "push"], more, &[code.to_str().unwrap()]].concat())
}

fn inside(platform: &Platform, command: &str) -> String {
    platform.run(&["-A", "custom", "run", "www", "--", "sh", "-c", command])
}

/// What the server answers on the port of the build file.
fn page(platform: &Platform) -> String {
    let answered = answer(&platform.web("custom", "www"), Method::GET, "/");
    String::from_utf8_lossy(&answered.body).into_owned()
}
