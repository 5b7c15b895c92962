//! PHP behind nginx, and its workers: `samples/sessions` and `samples/counter-php`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::platform::{Platform, Web, copy_of};
use crate::support::wait_for;
use crate::turn;

/// The sample with what the tests below ask for besides.
const ADDED: &[(&str, &str)] = &[
    ("php.ini", "[PHP]\nhighlight.string = \"#ABCDEF\"\n"),
    ("fastcgi.conf", "fastcgi_param FROM_FASTCGI yes;\n"),
    ("nginx.conf", "rewrite ^/pretty$ /seen.php;\n"),
    (
        "seen.php",
        "<?php echo json_encode([
            'getenv' => getenv('GREETING'), 'server' => $_SERVER['GREETING'] ?? null, 'env' => $_ENV['GREETING'] ?? null,
            'fastcgi' => $_SERVER['FROM_FASTCGI'] ?? null, 'ini' => ini_get('highlight.string'),
            'https' => $_SERVER['HTTPS'] ?? null, 'host' => $_SERVER['HTTP_HOST'], 'info' => $_SERVER['PATH_INFO'] ?? null,
        ]);",
    ),
    // Cannot be had anywhere; vendor/ is brought along.
    ("composer.json", "{\"require\": {\"nobody/has-this\": \"1.0\"}}"),
    ("vendor/autoload.php", "<?php"),
    ("size.php", "<?php echo strlen(file_get_contents('php://input'));"),
    ("boom.php", "<?php throw new Exception('nothing but trouble');"),
    // Answers once four requests are in it at the same time.
    (
        "together.php",
        "<?php apcu_inc('present'); for ($i = 0; apcu_fetch('present') < 4 && $i < 1000; $i++) usleep(10000);
        echo apcu_fetch('present') >= 4 ? getmypid() : 'alone';",
    ),
];

#[test]
fn php_serves_pages_and_its_sessions_stay_in_their_instance() {
    let _turn = turn();
    let platform = Platform::new();
    let code = sessions_and_more();
    platform.up(code.path(), "visits");
    let web = platform.web("visits", "www");

    assert!(get(&web, "/", &[]).1.contains("How often was I here?"), "index.php is the folder's page");
    a_page_sees_the_environment_and_the_settings(&web);
    a_body_of_more_than_a_mebibyte_is_refused(&web, code.path());
    four_requests_are_served_at_the_same_time(&web);
    an_exception_is_in_the_logs(&platform, &web);
    a_parse_error_is_found_before_anybody_asks_for_the_page(&platform);
    a_worker_is_started_again_when_it_ends(&platform);

    platform.scale("visits", &["www=2"]);
    assert_eq!(visits(&web, "/files.php", code.path()), [1, 1, 2, 2], "each instance counts alone");
    assert_eq!(visits(&web, "/redis.php", code.path()), [1, 2, 3, 4], "one session for both");
    wait_for("the worker sees the session in Redis", Duration::from_secs(20), || {
        logs(&platform, "watch").contains("I see 1 sessions in redis, 0 in files").then_some(())
    });
}

#[test]
fn counter_php_loses_updates_only_where_it_is_naive() {
    let _turn = turn();
    let platform = Platform::new();
    let code = copy_of("samples/counter-php");
    with_classes(code.path());
    platform.up(code.path(), "counter");
    let race = |path: &str, expected: &str| {
        let what = ["--reads", "/value", "--requests", "500", "--concurrency", "20", "--expect", expected];
        platform.json(&[&["-A", "counter", "race", "www", path][..], &what].concat())
    };
    let naive = race("/naive", "some");
    assert_eq!((naive["acknowledged"].as_u64(), naive["failed"].as_u64()), (Some(500), Some(0)), "{naive}");
    assert_eq!(naive["instances"]["www.0"].as_object().unwrap().len(), 4, "four workers of one instance: {naive}");
    let atomic = race("/atomic", "none");
    assert_eq!((atomic["lost"].as_u64(), atomic["applied"].as_u64()), (Some(0), Some(500)), "{atomic}");

    assert_eq!(get(&platform.web("counter", "www"), "/classes.php", &[]).1, "First");
    fs::write(code.path().join("lib/Second.php"), "<?php class Second {}").unwrap();
    let said = platform.run(&["-A", "counter", "push", code.path().to_str().unwrap()]);
    assert!(said.contains("Composer's packages are unchanged."), "{said}");
    assert_eq!(get(&platform.web("counter", "www"), "/classes.php", &[]).1, "FirstSecond", "the map of classes is new");
}

/// Classes that Composer finds, without a package of anybody else; and a PHP that has complaints.
fn with_classes(folder: &Path) {
    let composer = r#"{"autoload": {"classmap": ["lib/"]}, "repositories": [{"packagist.org": false}]}"#;
    let page = "<?php require 'vendor/autoload.php';
        foreach (['First', 'Second'] as $name) echo class_exists($name) ? $name : '';";
    fs::create_dir(folder.join("lib")).unwrap();
    for (name, text) in [
        ("composer.json", composer),
        ("lib/First.php", "<?php class First {}"),
        ("classes.php", page),
        ("php.ini", "display_errors = On\ndisplay_startup_errors = On\nextension = nothing_such\n"),
    ] {
        fs::write(folder.join(name), text).unwrap();
    }
    let file = folder.join("dotcloud.yml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("  type: php\n", "  type: php\n  requirements: [apc]\n")).unwrap();
}

#[test]
fn a_worker_without_a_process_is_refused_with_what_to_write() {
    let _turn = turn();
    let platform = Platform::new();
    let code = tempfile::tempdir().unwrap();
    fs::write(code.path().join("dotcloud.yml"), "jobs:\n  type: php-worker\n").unwrap();
    let said = platform.refused(&["-A", "idle", "up", "-d", "--wait", code.path().to_str().unwrap()]);
    assert!(said.contains("nothing to start") && said.contains("process:"), "{said}");
}

fn sessions_and_more() -> TempDir {
    let code = copy_of("samples/sessions");
    fs::create_dir(code.path().join("vendor")).unwrap();
    for (name, text) in ADDED {
        fs::write(code.path().join(name), text).unwrap();
    }
    let file = code.path().join("dotcloud.yml");
    // What is in the image need not be installed.
    let more = "  environment: {GREETING: \"good \\\"day\\\"\"}\n  requirements: [redis-2.2.0, apc]\n";
    let text = fs::read_to_string(&file).unwrap().replace("  type: php\n", &format!("  type: php\n{more}"));
    fs::write(&file, text).unwrap();
    code
}

fn a_page_sees_the_environment_and_the_settings(web: &Web) {
    let seen = |path: &str| -> Value { serde_json::from_str(&get(web, path, &[]).1).unwrap() };
    let greeting = "good \"day\"";
    let expected = json!({
        "getenv": greeting, "server": greeting, "env": greeting, "fastcgi": "yes", "ini": "#ABCDEF",
        "https": null, "host": web.host, "info": null,
    });
    assert_eq!(seen("/seen.php"), expected);
    assert_eq!(seen("/pretty"), expected, "nginx.conf is heeded");
    assert_eq!(seen("/seen.php/and/more")["info"], "/and/more");
    assert_eq!(get(web, "/none.php", &[]).0, 404);
}

fn a_body_of_more_than_a_mebibyte_is_refused(web: &Web, folder: &Path) {
    let post = |bytes: usize| {
        let file = folder.join("body");
        fs::write(&file, vec![b'x'; bytes]).unwrap();
        get(web, "/size.php", &["--data-binary", &format!("@{}", file.display())])
    };
    assert_eq!(post(1 << 20), (200, "1048576".to_owned()));
    assert_eq!(post((1 << 20) + 1).0, 413);
}

fn four_requests_are_served_at_the_same_time(web: &Web) {
    let requests: Vec<_> = (0..4).map(|_| curl(web, "/together.php", &[]).spawn().unwrap()).collect();
    let answers = requests.into_iter().map(|request| answer(&request.wait_with_output().unwrap().stdout).1);
    let mut workers: Vec<_> = answers.collect();
    workers.sort();
    workers.dedup();
    assert!(workers.len() == 4 && !workers.contains(&"alone".to_owned()), "{workers:?}");
}

fn an_exception_is_in_the_logs(platform: &Platform, web: &Web) {
    assert_eq!(get(web, "/boom.php", &[]).0, 500);
    wait_for("the exception is logged", Duration::from_secs(20), || {
        logs(platform, "www").contains("nothing but trouble").then_some(())
    });
}

fn a_parse_error_is_found_before_anybody_asks_for_the_page(platform: &Platform) {
    let check = "cd /tmp; echo '<?php $a = ;' > bad.php; echo '<?xml?><?php echo 1;' > good.php; \
                 /usr/lib/dotcloud/type/check /tmp/good.php /tmp/gone.php && echo fine; \
                 /usr/lib/dotcloud/type/check /tmp/good.php /tmp/bad.php || echo refused";
    let said = platform.run(&["-A", "visits", "run", "www", "--", check]);
    let lines: Vec<_> = said.lines().map(str::trim).collect();
    assert_eq!((lines[0], lines[2], lines.len()), ("fine", "refused", 3), "{said}");
    assert!(lines[1].starts_with("PHP Parse error: syntax error") && lines[1].ends_with("/tmp/bad.php on line 1"));
}

fn a_worker_is_started_again_when_it_ends(platform: &Platform) {
    // While it is down, supervisorctl says 0 and fails.
    let pid =
        || platform.run(&["-A", "visits", "run", "watch", "--", "supervisorctl pid watch || true"]).trim().to_owned();
    let all = platform.run(&["-A", "visits", "run", "watch", "--", "supervisorctl status || true"]);
    assert_eq!(all.lines().count(), 1, "neither nginx nor PHP-FPM: {all}");
    let before = pid();
    platform.run(&["-A", "visits", "run", "watch", "--", &format!("kill {before}")]);
    wait_for("the worker runs again", Duration::from_secs(20), || {
        let now = pid();
        (now != before && now != "0").then_some(())
    });
}

/// What four requests of one browser are told, in order.
fn visits(web: &Web, path: &str, folder: &Path) -> Vec<u32> {
    let jar = folder.join("jar");
    let jar = jar.to_str().unwrap();
    let visit = || get(web, path, &["-b", jar, "-c", jar]).1;
    (0..4).map(|_| visit().split_whitespace().nth(1).unwrap().parse().unwrap()).collect()
}

fn logs(platform: &Platform, service: &str) -> String {
    platform.run(&["-A", "visits", "logs", service, "--no-follow", "--lines", "300"])
}

/// Status and body.
fn get(web: &Web, path: &str, more: &[&str]) -> (u16, String) {
    answer(&curl(web, path, more).output().unwrap().stdout)
}

/// A client that is not ours.
fn curl(web: &Web, path: &str, more: &[&str]) -> Command {
    let mut command = Command::new("curl");
    command.args(["-sS", "-H", &format!("Host: {}", web.host), "-w", "\n%{http_code}"]);
    command.args(more).arg(format!("http://{}{path}", web.addr)).stdout(Stdio::piped());
    command
}

fn answer(output: &[u8]) -> (u16, String) {
    let text = String::from_utf8_lossy(output).into_owned();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), body.to_owned())
}
