//! The built binary without containers: what it says, where, and how it ends.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A user with a home, a folder and no Docker engine.
struct User {
    home: TempDir,
    folder: TempDir,
}

impl User {
    fn new() -> Self {
        // Short, because a Unix socket's path is limited to 107 bytes.
        // Private, because the daemon takes no other home.
        let private = fs::Permissions::from_mode(0o700);
        let temporary =
            |prefix| tempfile::Builder::new().prefix(prefix).permissions(private.clone()).tempdir_in("/tmp").unwrap();
        Self { home: temporary("dch"), folder: temporary("dcf") }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dotcloud"));
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        command.env("DOTCLOUD_HOME", self.home.path()).env("DOCKER_HOST", "unix:///nowhere/docker.sock");
        command.env_remove("DOTCLOUD_APPLICATION").env_remove("NO_COLOR").env_remove("DOTCLOUD_LOG");
        command
    }

    fn run(&self, arguments: &[&str]) -> Said {
        self.command(arguments).output().unwrap().into()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Whether a daemon was ever started: it leaves a log.
    fn started_a_daemon(&self) -> bool {
        self.home.path().join("daemon.log").exists()
    }
}

#[derive(Debug)]
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }
}

#[test]
fn help_lists_every_verb() {
    let said = User::new().command(&["--help"]).env("COLUMNS", "100").output().map(Said::from).unwrap();
    assert_eq!(said.code, 0);
    insta::assert_snapshot!(said.out);
}

#[test]
fn help_of_watching_tells_what_happens_to_a_change() {
    let said = User::new().command(&["watch", "--help"]).env("COLUMNS", "100").output().map(Said::from).unwrap();
    assert_eq!(said.code, 0);
    insta::assert_snapshot!(said.out.split("Global options").next().unwrap());
    let up = User::new().run(&["up", "--help"]);
    assert!(up.out.contains("--no-watch"), "{}", up.out);
}

#[test]
fn exit_codes_are_documented() {
    let said = User::new().run(&["exit-codes"]);
    insta::assert_snapshot!(said.out);
    let help = User::new().run(&["help", "exit-codes"]);
    assert!(help.out.starts_with(said.out.trim_end()), "{}", help.out);
}

#[test]
fn version_is_the_packages() {
    let said = User::new().run(&["--version"]);
    assert_eq!((said.code, said.out), (0, format!("dotcloud {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn wrong_usage_ends_with_2_and_starts_nothing() {
    let user = User::new();
    let wrong: &[&[&str]] = &[
        &["nonsense"],
        &["scale"],
        &["scale", "www"],
        &["scale", "www=3", "www:instances=4", "-A", "ramen"],
        &["env", "set", "DOTCLOUD_X=1"],
        &["env", "set", "A B=1"],
        &["run"],
        &["run", "www/../db"],
        &["kill", "www.0&x"],
        &["-A", "No Name", "info"],
        &["-y", "-o", "destroy"],
        &["up", "--timeout", "0"],
        &["dlogs", "../x", "-A", "ramen"],
        &["logs", "-A", "ramen", "www.x"],
        &["completions", "tcsh"],
        // Nothing says which application is meant.
        &["info"],
        &["destroy", "-y"],
        // No build file.
        &["push"],
        &["up", "-d"],
        &["watch"],
        &["watch", "a", "b"],
    ];
    for arguments in wrong {
        let said = user.run(arguments);
        assert_eq!(said.code, 2, "{arguments:?}: {said:?}");
        assert!(said.out.is_empty() && !said.err.is_empty(), "{arguments:?}: {said:?}");
    }
    assert!(!user.started_a_daemon());
}

#[test]
fn error_names_its_next_step() {
    let said = User::new().run(&["info"]);
    insta::assert_snapshot!(said.err, @r"
    Error: No application specified.
      - name it with `-A APPLICATION`
      - or connect this folder with it: `dotcloud connect APPLICATION`
    ");
}

#[test]
fn destroying_without_a_terminal_needs_a_yes() {
    let user = User::new();
    let said = user.run(&["-A", "ramen", "destroy"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("--assume-yes"), "{said:?}");
    let said = user.run(&["-A", "ramen", "destroy", "--assume-no"]);
    assert_eq!((said.code, said.err.as_str()), (1, "==> Nothing was destroyed\n"));
    assert!(!user.started_a_daemon());
}

#[test]
fn application_comes_from_option_then_environment_then_connection_then_build_file() {
    let user = User::new();
    let app = |arguments: &[&str], environment: Option<&str>| {
        let mut command = user.command(&[&["app"], arguments].concat());
        environment.map(|name| command.env("DOTCLOUD_APPLICATION", name));
        Said::from(command.output().unwrap()).out
    };
    user.write("dotcloud.yml", "www:\n  type: static\n");
    let folder = user.folder.path().file_name().unwrap().to_str().unwrap().to_ascii_lowercase();
    assert_eq!(app(&[], None).trim_end(), folder.trim_start_matches('.'));
    user.write(".dotcloud/config", r#"{"application": "ramen", "version": "0.9.8", "push_protocol": "rsync"}"#);
    assert_eq!(app(&[], None), "ramen\n");
    assert_eq!(app(&[], Some("soba")), "soba\n");
    assert_eq!(app(&["-A", "udon"], Some("soba")), "udon\n");
    assert_eq!(app(&["--json"], None), "{\"application\":\"ramen\"}\n");
}

#[test]
fn folder_is_disconnected_once() {
    let user = User::new();
    user.write(".dotcloud/config", r#"{"application": "ramen"}"#);
    assert_eq!(user.run(&["disconnect"]).code, 0);
    assert!(!user.folder.path().join(".dotcloud").exists());
    assert_eq!(user.run(&["disconnect"]).code, 2);
}

#[test]
fn damaged_connection_is_never_guessed() {
    let user = User::new();
    user.write("dotcloud.yml", "www:\n  type: static\n");
    user.write(".dotcloud/config", "{");
    let said = user.run(&["destroy", "-y"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains(".dotcloud/config"), "{said:?}");
}

#[test]
fn invalid_build_file_is_not_pushed() {
    let user = User::new();
    user.write("dotcloud.yml", "www:\n  type: pyton\n");
    let said = user.run(&["up", "-d"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("Did you mean \"python\"?") && said.err.contains("dotcloud.yml:2:9"), "{said:?}");
    assert_eq!(user.run(&["watch"]).code, 1);
    assert!(!user.started_a_daemon());
    assert_eq!(user.run(&["validate"]).code, 1);
    let said = user.run(&["--json", "validate"]);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&said.out).unwrap()["valid"], false);
}

#[test]
fn unreachable_engine_ends_with_4_and_names_the_endpoint() {
    let user = User::new();
    let said = user.run(&["list"]);
    assert_eq!(said.code, 4, "{said:?}");
    assert!(said.err.contains("unix:///nowhere/docker.sock") && said.err.contains("DOCKER_HOST"), "{said:?}");
    assert!(said.out.is_empty());
    let said = user.run(&["doctor", "--json"]);
    assert_eq!(said.code, 1);
    let findings: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(findings[0]["level"], "error");
    assert!(findings[0]["mend"].as_str().unwrap().contains("start the Docker engine"), "{findings}");
}

#[test]
fn stopped_daemon_is_told_as_such() {
    let user = User::new();
    assert_eq!(user.run(&["daemon", "status"]).code, 4);
    assert_eq!(user.run(&["daemon", "stop"]).code, 0);
    assert!(!user.started_a_daemon());
}

#[test]
fn every_shell_has_its_completions() {
    let user = User::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let said = user.run(&["completions", shell]);
        assert_eq!(said.code, 0);
        for verb in ["up", "watch", "scale", "destroy", "doctor"] {
            assert!(said.out.contains(verb), "{shell} does not know {verb}");
        }
    }
    let script = user.run(&["completions", "bash"]).out;
    let path = user.folder.path().join("completions.bash");
    fs::write(&path, script).unwrap();
    assert!(Command::new("bash").arg("-n").arg(&path).status().unwrap().success());
}

#[test]
fn colour_is_for_terminals_or_whoever_asks() {
    let user = User::new();
    let coloured = |arguments: &[&str], environment: &[(&str, &str)]| {
        let mut command = user.command(arguments);
        command.envs(environment.iter().copied());
        Said::from(command.output().unwrap()).err.contains('\x1b')
    };
    assert!(!coloured(&["info"], &[]));
    assert!(coloured(&["info", "--color", "always"], &[]));
    assert!(!coloured(&["info", "--color", "never"], &[("CLICOLOR_FORCE", "1")]));
    assert!(!coloured(&["info"], &[("NO_COLOR", "1")]));
}

#[test]
fn closed_pipe_is_no_error() {
    let user = User::new();
    let mut child =
        user.command(&["completions", "bash"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""));
}

#[test]
fn a_copy_of_standard_input_can_be_interrupted() {
    let user = User::new();
    let mut child = user.command(&["-A", "app", "copy", "-", "www:file"]);
    let mut child = child.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    // More than a pipe holds: it reads.
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&vec![0; 1 << 20]).unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    drop(stdin);
}

#[test]
fn home_that_cannot_be_used_is_named() {
    let user = User::new();
    let file = user.folder.path().join("file");
    fs::write(&file, "").unwrap();
    let used = |home: &Path| Said::from(user.command(&["list"]).env("DOTCLOUD_HOME", home).output().unwrap());
    let said = used(&file.join("home"));
    assert_eq!(said.code, 4);
    assert!(said.err.contains("cannot start the daemon"), "{said:?}");
    let shared = user.folder.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::write(shared.join("somebody's.txt"), "").unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o755)).unwrap();
    let said = used(&shared);
    assert_eq!(said.code, 4);
    assert!(said.err.contains(&format!("chmod 700 {}", shared.display())), "{said:?}");
    assert_eq!(fs::read_dir(&shared).unwrap().count(), 1);
    let said = used(&user.folder.path().join("x".repeat(120)));
    assert_eq!(said.code, 4);
    assert!(said.err.contains("DOTCLOUD_HOME"), "{said:?}");
}

#[test]
fn own_service_types_are_known_once_their_folder_is_there() {
    let user = User::new();
    user.write("dotcloud.yml", "www:\n  type: mine\n");
    assert_eq!(user.run(&["validate"]).code, 1);
    let folder = user.home.path().join("templates/mine");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("service.toml"), "").unwrap();
    let said = user.run(&["validate"]);
    assert_eq!(said.code, 0, "{said:?}");
}
