//! Builds and instances of code services.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dotcloud_local::catalog::BuildRecipe;
use dotcloud_local::engine::runtime::{
    BuildSpec, BuiltImage, ContainerSpec, LogPart, Progress, Purpose, Result, RunState, Runtime, RuntimeError,
};

use crate::environment;
use crate::support::{Home, get, until};

const WSGI: &str = r#"
import os, sys
def application(environ, start_response):
    sys.stderr.write("asked for %s\n" % environ["PATH_INFO"])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [("hello %s %s %s" % (os.environ["DOTCLOUD_PROJECT"], os.getpid(), environ["HTTP_HOST"])).encode()]
"#;

/// Nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:9";

fn spec(home: &Home, type_name: &str, files: &[(&str, &str)], recipe: BuildRecipe) -> BuildSpec {
    let revision = uuid::Uuid::new_v4().simple().to_string();
    BuildSpec {
        app: home.app.clone(),
        service: "www".parse().unwrap(),
        type_name: type_name.to_owned(),
        tree: tree(home, &revision, files),
        target: format!("dotcloud-local/app-{}:{revision}", &home.id[..12]),
        revision,
        previous: None,
        approot: "www".to_owned(),
        systempackages: Vec::new(),
        env: BTreeMap::from([("SERVICE_TYPE".to_owned(), type_name.to_owned())]),
        recipe: serde_json::to_value(recipe).unwrap(),
    }
}

/// A tar of the files, owned by somebody else than the platform's user.
fn tree(home: &Home, revision: &str, files: &[(&str, &str)]) -> PathBuf {
    let path = home.folder.path().join(format!("{revision}.tar"));
    let mut archive = tar::Builder::new(std::fs::File::create(&path).unwrap());
    for (name, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(if text.starts_with("#!") { 0o755 } else { 0o644 });
        header.set_uid(12345);
        header.set_mtime(1_700_000_000);
        archive.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    archive.finish().unwrap();
    path
}

async fn build(home: &Home, spec: &BuildSpec) -> (Result<BuiltImage>, Vec<String>) {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let kept = lines.clone();
    let begun = Instant::now();
    let progress: Progress = Arc::new(move |line: &str| kept.lock().unwrap().push(line.to_owned()));
    let built = home.runtime.build(spec, progress).await;
    eprintln!("build of {} took {:?}", spec.type_name, begun.elapsed());
    let lines = lines.lock().unwrap().clone();
    (built, lines)
}

async fn instance(home: &Home, number: u32, image: &str) -> ContainerSpec {
    let env = [&environment::VALUES[..], &[("DOTCLOUD_PROJECT", "demo"), ("DOTCLOUD_SERVICE_NAME", "www")]].concat();
    let env: BTreeMap<String, String> =
        env.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let command = Some(vec![serde_json::to_string_pretty(&env).unwrap()]);
    ContainerSpec { command, env, ..home.spec(&format!("www.{number}"), Purpose::Code, image).await }
}

async fn address(home: &Home, id: &str) -> Option<Ipv4Addr> {
    home.runtime.observe(&home.app).await.unwrap().containers.into_iter().find(|c| c.id == id)?.ip
}

/// Starts an instance and waits for its first answer.
async fn serve(home: &Home, spec: &ContainerSpec) -> (String, SocketAddr, String) {
    let begun = Instant::now();
    let id = home.runtime.start(spec).await.unwrap();
    let started = begun.elapsed();
    let addr = SocketAddr::from((address(home, &id).await.unwrap(), 80));
    let body = until(|| async { get(addr, "/").await.filter(|(status, _)| *status == 200) }).await.1;
    eprintln!("first 200 after {:?}, of which Docker's start {started:?}", begun.elapsed());
    (id, addr, body)
}

async fn exit_code(home: &Home, id: &str) -> i64 {
    until(|| async {
        let all = home.runtime.observe(&home.app).await.unwrap().containers;
        match all.into_iter().find(|c| c.id == id)?.state {
            RunState::Exited { code, .. } => Some(code),
            _ => None,
        }
    })
    .await
}

#[tokio::test]
async fn a_python_service_is_built_and_serves_with_four_workers() {
    Home::new()
        .await
        .run(|home| async move {
            let recipe = BuildRecipe {
                prebuild: Some("echo before > made.txt; printf 'bad \\377 byte\\n'".to_owned()),
                postbuild: Some("python -c 'import six; print(\"six\", six.__name__)'".to_owned()),
                postinstall: Some("echo \"installed for $DOTCLOUD_PROJECT\"; test -w ~/data".to_owned()),
                requirements: vec!["six==1.17.0".to_owned()],
                processes: BTreeMap::from([(
                    "clock".to_owned(),
                    "echo tick-$DOTCLOUD_SERVICE_NAME && exec sleep 1000".to_owned(),
                )]),
                ..Default::default()
            };
            let own = "location /own { return 200 ours; }\nlocation / { include uwsgi_params; \
                       uwsgi_param HTTP_HOST $http_host; uwsgi_pass unix:/var/dotcloud/uwsgi.sock; }\n";
            let files = [("www/wsgi.py", WSGI), ("www/nginx.conf", own)];
            let spec = spec(&home, "python", &files, recipe);
            let (built, lines) = build(&home, &spec).await;
            let built = built.unwrap_or_else(|error| panic!("{error:?}\n{}", lines.join("\n")));
            assert!(built.bytes > 0 && lines.contains(&"six six".to_owned()), "{lines:?}");
            assert_eq!(home.runtime.app_images(&home.app).await.unwrap(), [spec.target.as_str()]);

            let (id, addr, body) = serve(&home, &instance(&home, 0, &built.image).await).await;
            assert!(body.starts_with("hello demo "), "{body}");
            let (_, processes) = home.exec(&id, &["ps", "-eo", "user,args"]).await;
            let workers = processes.lines().filter(|line| line.contains("uwsgi-core")).count();
            assert_eq!(workers, 5, "a master and 4 workers: {processes}");
            let (code, status) = home.exec(&id, &["sh", "-c", "cd ~/current && supervisorctl status"]).await;
            assert!(status.matches("RUNNING").count() + status.matches("STARTING").count() == 3, "{code} {status}");
            environment::can_be_read(&home, &id).await;
            let (_, body) = home.exec(&id, &["curl", "-s", "-H", "Host: www.demo.localhost:8123", "localhost"]).await;
            assert!(body.ends_with(" www.demo.localhost:8123"), "links of a page lead back to the router: {body}");
            let (_, own) = home.exec(&id, &["curl", "-s", "localhost/own"]).await;
            assert_eq!(own, "ours", "the service's nginx.conf is heeded");
            let (_, owners) = home
                .exec(
                    &id,
                    &[
                        "sh",
                        "-c",
                        "find ~ ! -user dotcloud; cat ~/current/made.txt; readlink ~/current; pgrep -x cron -u root",
                    ],
                )
                .await;
            assert!(owners.starts_with("before\ncode/www\n") && owners.lines().count() == 3, "{owners}");

            let logged = until(|| async {
                let mut lines = home.runtime.logs(&id, LogPart::default(), false).await.unwrap();
                let mut text = String::new();
                while let Some(line) = lines.recv().await {
                    text += &line.text;
                    text.push('\n');
                }
                ["installed for demo", "asked for /", "GET / HTTP", "tick-www"]
                    .iter()
                    .all(|part| text.contains(part))
                    .then_some(text)
            })
            .await;
            assert!(!logged.is_empty());

            assert_eq!(get(addr, "/.dotcloud/recipe.json").await.unwrap().0, 404);
            home.exec(&id, &["touch", "/home/dotcloud/current/maintenance"]).await;
            assert_eq!(get(addr, "/").await.unwrap().0, 503);
            let begun = Instant::now();
            home.runtime.stop(&id, 20).await.unwrap();
            eprintln!("graceful stop took {:?}", begun.elapsed());
            assert!(begun.elapsed() < Duration::from_secs(5));
            home.runtime.restart(&id).await.unwrap();
            home.exec(&id, &["rm", "/home/dotcloud/current/maintenance"]).await;
            let addr = SocketAddr::from((address(&home, &id).await.unwrap(), 80));
            until(|| async { get(addr, "/").await.filter(|(status, _)| *status == 200) }).await;
        })
        .await;
}

#[tokio::test]
async fn a_push_of_code_alone_needs_no_network_and_forgets_deleted_files() {
    Home::new()
        .await
        .run(|home| async move {
            let files = [
                ("www/wsgi.py", WSGI),
                ("www/old.txt", "old"),
                ("www/requirements.txt", "six==1.17.0\n--use-mirrors\n"),
            ];
            let first = spec(&home, "python", &files, BuildRecipe::default());
            build(&home, &first).await.0.unwrap();
            let files = [("www/wsgi.py", WSGI), ("www/requirements.txt", "six==1.17.0\n--use-mirrors\n")];
            let recipe = BuildRecipe {
                postbuild: Some("test ! -e old.txt && python -c 'import six'".to_owned()),
                ..Default::default()
            };
            let mut second =
                BuildSpec { previous: Some(first.target.clone()), ..spec(&home, "python", &files, recipe) };
            // Whatever asks the outside is refused at once.
            let nowhere =
                ["http_proxy", "https_proxy", "PIP_INDEX_URL"].map(|key| (key.to_owned(), NOWHERE.to_owned()));
            second.env.extend(nowhere);
            let (built, lines) = build(&home, &second).await;
            built.unwrap();
            assert_eq!(lines, ["Requirements are unchanged.", "Running postbuild..."]);

            let more = [("www/wsgi.py", WSGI), ("www/requirements.txt", "six==1.16.0\n")];
            let mut third = BuildSpec {
                previous: Some(second.target.clone()),
                ..spec(&home, "python", &more, BuildRecipe::default())
            };
            third.env.extend(second.env);
            let (built, lines) = build(&home, &third).await;
            assert!(matches!(built, Err(RuntimeError::Exited { .. })), "new requirements do need pip: {lines:?}");
        })
        .await;
}

#[tokio::test]
async fn a_broken_nginx_conf_fails_the_build() {
    Home::new()
        .await
        .run(|home| async move {
            let files = [("www/nginx.conf", "locatoin /a { return 404; }\n")];
            let error = build(&home, &spec(&home, "static", &files, BuildRecipe::default())).await.0.unwrap_err();
            let expected = "unknown directive \"locatoin\" in /home/dotcloud/current/nginx.conf:1";
            assert!(matches!(&error, RuntimeError::Exited { output, .. } if output.contains(expected)), "{error:?}");
            // What the instance's neighbours are called is not known yet.
            let files = [("www/nginx.conf", "location /a { proxy_pass http://api; }\n")];
            let (built, lines) = build(&home, &spec(&home, "static", &files, BuildRecipe::default())).await;
            assert!(built.is_ok() && lines.iter().any(|line| line.contains("host not found")), "{lines:?}");
        })
        .await;
}

#[tokio::test]
async fn a_failing_hook_fails_the_build_and_leaves_nothing() {
    Home::new()
        .await
        .run(|home| async move {
            let recipe = BuildRecipe { prebuild: Some("echo no luck; exit 3".to_owned()), ..Default::default() };
            let spec = spec(&home, "static", &[("www/index.html", "hi")], recipe);
            match build(&home, &spec).await.0 {
                Err(RuntimeError::Exited { what, output, .. }) => {
                    assert_eq!(what, "the build of www");
                    assert!(output.contains("no luck") && output.contains("exit code 3"), "{output}");
                }
                other => panic!("{other:?}"),
            }
            assert!(home.runtime.observe(&home.app).await.unwrap().containers.is_empty());
            assert!(home.runtime.app_images(&home.app).await.unwrap().is_empty());
        })
        .await;
}

#[tokio::test]
async fn an_approot_outside_the_tree_is_refused() {
    Home::new()
        .await
        .run(|home| async move {
            let spec = BuildSpec {
                approot: "../..".to_owned(),
                ..spec(&home, "static", &[("a", "")], BuildRecipe::default())
            };
            let error = build(&home, &spec).await.0.unwrap_err();
            assert!(matches!(&error, RuntimeError::Exited { output, .. } if output.contains("outside")), "{error:?}");
        })
        .await;
}

#[tokio::test]
async fn a_static_service_serves_its_approot_and_a_failing_postinstall_exits_71() {
    Home::new()
        .await
        .run(|home| async move {
            // Its own `location /` is no second one.
            let own = "location / { try_files $uri $uri/ =410; }\n";
            let files = [("www/index.html", "front"), ("www/a/b.txt", "deep"), ("www/my-nginx.conf", own)];
            let good = spec(&home, "static", &files, BuildRecipe::default());
            let built = build(&home, &good).await.0.unwrap();
            let (_, addr, body) = serve(&home, &instance(&home, 0, &built.image).await).await;
            assert_eq!(body, "front");
            assert_eq!(get(addr, "/a/b.txt").await.unwrap(), (200, "deep".to_owned()));
            assert_eq!(get(addr, "/none").await.unwrap().0, 410);

            let bad = spec(
                &home,
                "static",
                &[("www/postinstall", "#!/bin/sh\necho broken; exit 9\n")],
                BuildRecipe::default(),
            );
            let built = build(&home, &bad).await.0.unwrap();
            let id = home.runtime.start(&instance(&home, 1, &built.image).await).await.unwrap();
            assert_eq!(exit_code(&home, &id).await, 71);
            let mut lines = home.runtime.logs(&id, LogPart::default(), false).await.unwrap();
            let mut text = Vec::new();
            while let Some(line) = lines.recv().await {
                text.push(line.text);
            }
            assert_eq!(text, ["Running postinstall script...", "broken", "postinstall failed with exit code 9"]);
        })
        .await;
}

#[tokio::test]
async fn a_program_of_the_services_supervisord_conf_runs_and_its_output_is_logged() {
    Home::new()
        .await
        .run(|home| async move {
            let conf = "[program:jobs]\ncommand = sh -c 'echo $A $B; pwd; exec sleep 1000' ; a comment\n\
                        environment = A=\"much\",\n    B=\"work\"\n\
                        [program:more]\ncommand = sleep 1000\n[group:both]\nprograms = jobs,\n  more\n";
            let spec = spec(
                &home,
                "static",
                &[("www/index.html", "x"), ("www/supervisord.conf", conf)],
                BuildRecipe::default(),
            );
            let built = build(&home, &spec).await.0.unwrap();
            let (id, ..) = serve(&home, &instance(&home, 0, &built.image).await).await;
            let file = || async {
                Some(home.exec(&id, &["cat", "/var/log/supervisor/jobs.log"]).await.1)
                    .filter(|t| t.lines().count() == 2)
            };
            assert_eq!(until(file).await, "much work\n/home/dotcloud/code/www\n");
            let (_, status) = home.exec(&id, &["sh", "-c", "cd ~/current && supervisorctl status"]).await;
            assert!(status.contains("both:jobs") && status.contains("both:more"), "{status}");
        })
        .await;
}

#[tokio::test]
async fn a_broken_application_answers_502_and_its_traceback_is_logged() {
    Home::new()
        .await
        .run(|home| async move {
            let spec = spec(&home, "python", &[("www/wsgi.py", "import nothing_such\n")], BuildRecipe::default());
            let built = build(&home, &spec).await.0.unwrap();
            let id = home.runtime.start(&instance(&home, 0, &built.image).await).await.unwrap();
            let addr = SocketAddr::from((address(&home, &id).await.unwrap(), 80));
            until(|| async { get(addr, "/").await.filter(|(status, _)| *status == 502) }).await;
            until(|| async {
                let mut lines = home.runtime.logs(&id, LogPart::default(), false).await.unwrap();
                while let Some(line) = lines.recv().await {
                    if line.text.contains("No module named 'nothing_such'") {
                        return Some(());
                    }
                }
                None
            })
            .await;
        })
        .await;
}

#[tokio::test]
async fn system_packages_are_added_once() {
    Home::new()
        .await
        .run(|home| async move {
            let recipe = || BuildRecipe { postbuild: Some("figlet -v | head -1".to_owned()), ..Default::default() };
            let packages = vec!["figlet".to_owned()];
            let first =
                BuildSpec { systempackages: packages.clone(), ..spec(&home, "static", &[("www/a", "")], recipe()) };
            let (built, lines) = build(&home, &first).await;
            built.unwrap_or_else(|error| panic!("{error:?}\n{}", lines.join("\n")));
            let second = BuildSpec { systempackages: packages, ..spec(&home, "static", &[("www/a", "")], recipe()) };
            let (built, lines) = build(&home, &second).await;
            built.unwrap();
            assert!(!lines.iter().any(|line| line.contains("Building image")), "{lines:?}");
        })
        .await;
}
