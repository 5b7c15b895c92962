//! What dotCloud's documentation of 2012 tells people to type, typed: databases, mail, variables.

use std::fs;
use std::io::Write;
use std::process::{Output, Stdio};
use std::time::Duration;

use crate::support::platform::{Platform, text};
use crate::support::wait_for;
use crate::turn;

const APP: &str = "ramen";
/// As in the guides, with `data` as the service's name.
const STACK: &str = "www: {type: python}\ndata: {type: mysql}\nsql: {type: postgresql}\ncache: {type: redis}\n";
const MAILER: &str = "mailer: {type: smtp}\n";
const WSGI: &str = "def application(environ, start):\n    start('200 OK', [])\n    return [b'ramen']\n";
/// Speaks to the mail agent of the instance, as Django does with its default settings.
const MAIL: &str = "import smtplib\nsmtplib.SMTP('localhost').sendmail('www@example.com', ['cook@example.com'], \
    'Subject: by smtp\\n\\nsoup')\n";
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn the_commands_of_the_documentation_do_what_it_says() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| fs::write(folder.path().join(name), content).unwrap();
    write("dotcloud.yml", STACK);
    write("wsgi.py", WSGI);
    let platform = Platform::new();
    platform.run(&["create", APP]);
    platform.run(&["-A", APP, "push", folder.path().to_str().unwrap()]);

    // Nothing is waited for in between: a push ends when new databases answer.
    mysql_has_databases_users_and_imports(&platform);
    mysql_takes_what_5_1_took(&platform);
    postgresql_has_users_and_databases(&platform);
    redis_takes_the_password_again(&platform);
    the_logins_are_listed(&platform);

    mail_without_a_service_says_what_to_do(&platform);
    write("dotcloud.yml", &format!("{STACK}{MAILER}"));
    platform.up(folder.path(), APP);
    platform.settle(APP);
    mail_reaches_the_service(&platform);
}

/// services/mysql, tutorials/more/mysqlimport, guides/backups, guides/copy.
fn mysql_has_databases_users_and_imports(platform: &Platform) {
    typed(
        platform,
        &["data", "--", "mysql"],
        "CREATE DATABASE wordpress;\nGRANT ALL ON wordpress.* TO 'joe'@'%' IDENTIFIED BY 'opensesame';\n",
    );
    let joe = "mysql -h 127.0.0.1 -u joe -popensesame wordpress -e 'CREATE TABLE posts (id INT); SELECT USER()'";
    assert!(typed(platform, &["data", joe], "").contains("joe@"), "the new user may write in the new database");

    let dump = typed(platform, &["data", "--", "mysqldump", "wordpress"], "");
    typed(platform, &["data", "--", "mysql", "-e", "CREATE DATABASE testdatabase"], "");
    typed(platform, &["data", "--", "mysql", "testdatabase"], &dump);
    assert!(typed(platform, &["data", "mysql", "testdatabase", "-e", "SHOW TABLES"], "").contains("posts"));

    // Without a command it is a shell, beside the server.
    let script = "cat > backup.sh && chmod +x backup.sh";
    typed(platform, &["data", script], "#!/bin/sh\nmysqldump --all-databases | gzip > /tmp/all.sql.gz\n");
    let seen = typed(platform, &["data"], "~/backup.sh && which curl scp && zcat /tmp/all.sql.gz | tail -n 1\n");
    assert!(seen.contains("Dump completed"), "{seen}");
}

fn mysql_takes_what_5_1_took(platform: &Platform) {
    let seen = typed(
        platform,
        &["data", "--", "mysql", "wordpress"],
        "CREATE TABLE old (n VARCHAR(5) NOT NULL, d DATETIME NOT NULL DEFAULT '0000-00-00', x TEXT NOT NULL, t TIMESTAMP)
             ENGINE=InnoDB ROW_FORMAT=FIXED DEFAULT CHARSET=utf8;
         INSERT INTO old (n, d) VALUES ('too long', '2012-00-00');
         SELECT CONCAT(n, '|', d, '|', x, '|', t > 0) FROM old;\n",
    );
    assert!(seen.contains("too l|2012-00-00 00:00:00||1"), "{seen}");
}

/// services/postgresql, guides/backups.
fn postgresql_has_users_and_databases(platform: &Platform) {
    typed(platform, &["sql", "--", "createuser", "joe", "--pwprompt"], "opensesame\nopensesame\n");
    typed(platform, &["sql", "--", "createdb", "mydb"], "");
    typed(platform, &["sql", "--", "createdb", "-O", "joe", "joes"], "");
    let as_joe = |password: &str, database: &str| {
        let sql = "CREATE TABLE IF NOT EXISTS own (id int)";
        run(platform, &["sql", &format!("PGPASSWORD={password} psql -w -U joe {database} -Atc '{sql}'")], "")
    };
    for database in ["joes", "mydb", "template1"] {
        let output = as_joe("opensesame", database);
        assert!(output.status.success(), "{database}: {output:?}");
    }
    let refused = as_joe("", "joes");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("no password supplied"), "{refused:?}");
    let seen = typed(platform, &["sql"], "pg_dumpall | gzip > ~/all.sql.gz && zcat ~/all.sql.gz | grep own\n");
    assert!(seen.contains("CREATE TABLE public.own"), "{seen}");
}

/// services/redis.
fn redis_takes_the_password_again(platform: &Platform) {
    let (_, password) = platform.data(APP, "cache");
    let seen = typed(platform, &["cache", "redis-cli"], &format!("AUTH {password}\nSET soup ramen\nGET soup\n"));
    assert_eq!(seen.split_whitespace().collect::<Vec<_>>(), ["OK", "OK", "ramen"], "{seen}");
}

/// tutorials/more/phpmyadmin.
fn the_logins_are_listed(platform: &Platform) {
    let (address, password) = platform.data(APP, "data");
    let listed = platform.run(&["-A", APP, "env", "list"]);
    for line in [
        "DOTCLOUD_DATA_MYSQL_LOGIN=root".to_owned(),
        format!("DOTCLOUD_DATA_MYSQL_PASSWORD={password}"),
        format!("DOTCLOUD_DATA_MYSQL_PORT={}", address.port()),
    ] {
        assert!(listed.lines().any(|listed| listed == line), "{line} in {listed}");
    }
}

fn mail_without_a_service_says_what_to_do(platform: &Platform) {
    let refused = run(platform, &["www", "--", "sendmail", "-t"], "To: cook@example.com\n\nsoup\n");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("type: smtp"), "{said}");
    let refused = run(platform, &["www", "--", "python", "-"], MAIL);
    assert!(!refused.status.success(), "nobody is told that a mail was taken that is gone");
    wait_for("the reason is in the logs", PATIENCE, || {
        let logs = platform.run(&["-A", APP, "logs", "www", "--no-follow"]);
        (logs.matches("No mail was sent").count() == 2).then_some(())
    });
}

/// guides/emails, guides/backups, services/smtp: "all our services come with a built-in MTA listening on localhost".
fn mail_reaches_the_service(platform: &Platform) {
    // A login shell finds the service's own Python, as the instance's programs do.
    let seen = typed(platform, &["www"], "which python\n");
    assert_eq!(seen.trim(), "/home/dotcloud/env/bin/python");
    typed(platform, &["www", "--", "python", "-"], MAIL);
    let letter = "From: www@example.com\nTo: cook@example.com\nSubject: by sendmail\n\nnoodles\n";
    typed(platform, &["www", "--", "sendmail", "-t", "-i"], letter);
    // The last part of the crontab in guides/backups.
    typed(platform, &["www", "echo fine | mail -s 'Backup result' cook@example.com"], "");
    let mails = platform.json(&["-A", APP, "mail"]);
    let subjects = mails.as_array().unwrap().iter().map(|mail| text(&mail["subject"])).collect::<Vec<_>>();
    assert_eq!(subjects, ["by smtp", "by sendmail", "Backup result"], "{mails}");
    assert_eq!(text(&mails[0]["to"]), "cook@example.com", "{mails}");
}

/// What a command that must succeed prints.
fn typed(platform: &Platform, words: &[&str], input: &str) -> String {
    let output = run(platform, words, input);
    assert!(output.status.success(), "run {words:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// `dotcloud run` with an input, which no terminal is.
fn run(platform: &Platform, words: &[&str], input: &str) -> Output {
    let arguments = [&["-A", APP, "run"], words].concat();
    let mut command = platform.command(&arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}
