//! `dotcloud doctor`: is this machine fit, and how to mend it.

use crate::api::types::{Finding, Level};

use super::Context;
use super::error::{CliError, chain};
use super::table::{row, table};

/// Look at this machine and say how to mend what is wrong
///
/// Exit code 0 when everything works, warnings included, and 1 when something does not.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {}

pub async fn run(_: Args, ctx: &Context) -> Result<u8, CliError> {
    let findings = examine(ctx).await;
    if ctx.json {
        ctx.ui.json(&findings);
    } else {
        ctx.ui.print(report(&findings));
    }
    Ok(u8::from(findings.iter().any(|finding| finding.level == Level::Error)))
}

/// What the daemon finds; without a daemon, what can be said from here.
async fn examine(ctx: &Context) -> Vec<Finding> {
    let mut findings = Vec::new();
    match ctx.client.version().await {
        Ok(version) => findings.push(Finding {
            subject: "daemon".to_owned(),
            level: Level::Ok,
            text: format!(
                "version {} answers at {} (pid {})",
                version.version,
                ctx.client.home().socket().display(),
                version.pid
            ),
            mend: None,
        }),
        Err(error) => {
            findings.push(unreachable(CliError::from(error), ctx));
            return findings;
        }
    }
    match ctx.client.doctor().await {
        Ok(found) => findings.extend(found),
        Err(error) => findings.push(Finding {
            subject: "daemon".to_owned(),
            level: Level::Error,
            text: chain(&error),
            mend: Some("`dotcloud daemon stop` ends it; the next command starts it again".to_owned()),
        }),
    }
    findings
}

fn unreachable(error: CliError, ctx: &Context) -> Finding {
    let log: Vec<&str> = error.hints.iter().filter_map(|hint| hint.strip_prefix("daemon.log: ")).collect();
    let last_words = log.last().map(|line| format!(" ({line})")).unwrap_or_default();
    Finding {
        subject: "daemon".to_owned(),
        level: Level::Error,
        text: format!("{}{last_words}", error.message),
        mend: Some(format!("read {}, or run `dotcloud daemon` in the foreground", ctx.client.home().log().display())),
    }
}

fn report(findings: &[Finding]) -> String {
    let line = |finding: &Finding| row([word(finding.level), &finding.subject, &finding.text]);
    let table = table(&findings.iter().map(line).collect::<Vec<_>>());
    let mends = findings.iter().map(|finding| finding.mend.as_ref().filter(|_| finding.level != Level::Ok));
    let lines = table.lines().zip(mends).map(|(line, mend)| match mend {
        Some(mend) => format!("{line}\n         -> {mend}"),
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Ok => "ok",
        Level::Warning => "warning",
        Level::Error => "error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_followed_by_its_mend() {
        let finding = |subject: &str, level, text: &str, mend: Option<&str>| Finding {
            subject: subject.to_owned(),
            level,
            text: text.to_owned(),
            mend: mend.map(str::to_owned),
        };
        let findings = [
            finding("engine", Level::Ok, "Docker 20.10 at unix:///var/run/docker.sock", None),
            finding("disk", Level::Warning, "1 G free", Some("`docker system prune` frees space")),
            finding("ports", Level::Error, "8080 is taken by nginx", Some("stop it")),
        ];
        insta::assert_snapshot!(report(&findings), @r"
        ok       engine  Docker 20.10 at unix:///var/run/docker.sock
        warning  disk    1 G free
                 -> `docker system prune` frees space
        error    ports   8080 is taken by nginx
                 -> stop it
        ");
    }
}
