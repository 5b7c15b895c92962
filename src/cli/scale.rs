//! `dotcloud scale`: more or fewer instances, more or less memory.

use crate::api::types::{Service, Wish};
use crate::model::{Memory, ServiceName};

use super::follow::{self, Deadline};
use super::table::size;
use super::{CliError, Context};

/// Change the number of instances and their memory
///
/// Several services and both kinds at once: www:instances=3 db:instances=2 www:memory=512M.
/// `www=3` is short for `www:instances=3`. Either everything is accepted or nothing. Memory is
/// changed at once and without a restart; instances come and go without failing a request. A
/// replicated data service has one master, the others are its slaves: db=2 is a master and a slave.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[arg(value_name = "SERVICE[:instances|:memory]=VALUE", required = true)]
    pub wishes: Vec<Change>,
    /// Return when the wishes are accepted, not when they are fulfilled
    #[arg(long)]
    pub no_wait: bool,
    /// Give up waiting after this time (exit code 3); the work goes on
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: u64,
}

/// One argument: `www=3`, `www:instances=3` or `www:memory=512M`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    service: ServiceName,
    to: To,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum To {
    Instances(u32),
    Memory(Memory),
}

pub async fn run(args: Args, ctx: &Context) -> Result<u8, CliError> {
    let app = ctx.app()?;
    let wishes = combine(&args.wishes)?;
    ctx.ui.info(format!("Scaling application {app}"));
    args.wishes.iter().for_each(|change| ctx.ui.info(change.announcement()));
    let named: Vec<String> = wishes.iter().map(|wish| wish.service.clone()).collect();
    let scaled = ctx.client.scale(app.as_str(), wishes).await?;
    scaled.notes.iter().for_each(|note| ctx.ui.warning(note));
    if !args.no_wait {
        ctx.ui.info(format!("Waiting for {}", named.join(", ")));
        Deadline::after(Some(args.timeout)).bound(&app, ctx, follow::ready(&app, &named, ctx)).await?;
    }
    let services = ctx.client.services(app.as_str()).await?;
    let heeded = args.wishes.iter().filter(|change| !change.is_ignored(&scaled.ignored));
    let (overtaken, done): (Vec<_>, Vec<_>) = heeded.partition(|change| change.is_overtaken(&services));
    for change in overtaken {
        ctx.ui.warning(format!("{change} holds no longer: another command changed it meanwhile"));
    }
    if ctx.json {
        ctx.ui.json(&serde_json::json!({ "application": app, "notes": scaled.notes, "ignored": scaled.ignored, "services": services }));
    } else if !done.is_empty() {
        let done: Vec<String> = done.into_iter().map(Change::to_string).collect();
        ctx.ui.success(format!("Successfully scaled {app} to {}", done.join(" ")));
    }
    Ok(0)
}

/// One wish a service. What is said twice is a mistake, not a choice.
fn combine(changes: &[Change]) -> Result<Vec<Wish>, CliError> {
    let mut wishes: Vec<Wish> = Vec::new();
    for change in changes {
        let name = change.service.as_str();
        let at = wishes.iter().position(|wish| wish.service == name).unwrap_or_else(|| {
            wishes.push(Wish { service: name.to_owned(), instances: None, memory: None });
            wishes.len() - 1
        });
        let before = match change.to {
            To::Instances(count) => wishes[at].instances.replace(count).map(u64::from),
            To::Memory(memory) => wishes[at].memory.replace(memory.bytes()),
        };
        if before.is_some() {
            return Err(CliError::usage(format!("{change} contradicts an argument before it")).hint("say it once"));
        }
    }
    Ok(wishes)
}

/// What is applied for this wish; the daemon says no to what cannot be applied.
fn rounded(memory: Memory) -> Memory {
    memory.checked(true).unwrap_or(memory)
}

impl Change {
    /// Whether the service keeps the number of instances that it has; a note told why.
    fn is_ignored(&self, services: &[String]) -> bool {
        matches!(self.to, To::Instances(_)) && services.iter().any(|name| name == self.service.as_str())
    }

    /// Whether the service has another number of instances than was asked for: of two who scale at
    /// once the later one is heeded.
    fn is_overtaken(&self, services: &[Service]) -> bool {
        let To::Instances(count) = self.to else { return false };
        services.iter().any(|service| service.name == self.service.as_str() && service.instance_count != count)
    }

    fn announcement(&self) -> String {
        match self.to {
            To::Instances(count) => format!("Changing instances of {} to {count}", self.service),
            To::Memory(memory) => format!("Changing memory of {} to {}B", self.service, size(rounded(memory).bytes())),
        }
    }
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.to {
            To::Instances(count) => write!(f, "{}:instances={count}", self.service),
            To::Memory(memory) => write!(f, "{}:memory={}", self.service, rounded(memory)),
        }
    }
}

impl std::str::FromStr for Change {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (target, value) = text.split_once('=').ok_or("write SERVICE=COUNT or SERVICE:memory=SIZE")?;
        let (service, what) = target.split_once(':').unwrap_or((target, "instances"));
        let service = service.parse().map_err(|wrong: crate::model::NameError| wrong.to_string())?;
        let to = match what {
            "instances" => To::Instances(value.parse().map_err(|_| format!("{value:?} is not a number of instances"))?),
            "memory" => {
                To::Memory(value.parse().map_err(|wrong: crate::model::memory::MemoryError| wrong.to_string())?)
            }
            other => return Err(format!("{other:?} cannot be scaled: write instances or memory")),
        };
        Ok(Self { service, to })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wishes(arguments: &[&str]) -> Result<Vec<Wish>, String> {
        let changes: Vec<Change> = arguments.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
        combine(&changes).map_err(|error| error.message)
    }

    #[test]
    fn several_changes_of_a_service_are_one_wish() {
        let wish = |service: &str, instances, memory| Wish { service: service.to_owned(), instances, memory };
        let both = wishes(&["www:instances=3", "db=2", "www:memory=512M"]).unwrap();
        assert_eq!(both, [wish("www", Some(3), Some(512 << 20)), wish("db", Some(2), None)]);
    }

    #[test]
    fn unclear_arguments_are_refused_in_words() {
        assert_eq!(
            wishes(&["www=3", "www:instances=4"]).unwrap_err(),
            "www:instances=4 contradicts an argument before it"
        );
        assert_eq!(wishes(&["www"]).unwrap_err(), "write SERVICE=COUNT or SERVICE:memory=SIZE");
        assert_eq!(wishes(&["www=-1"]).unwrap_err(), "\"-1\" is not a number of instances");
        assert_eq!(wishes(&["www:cpu=2"]).unwrap_err(), "\"cpu\" cannot be scaled: write instances or memory");
        assert!(wishes(&["www:memory=lots"]).unwrap_err().contains("512M"));
        assert!(wishes(&["WWW=1"]).is_err());
    }

    #[test]
    fn changes_are_announced_as_dotcloud_did() {
        let change: Change = "www:memory=100M".parse().unwrap();
        assert_eq!(change.announcement(), "Changing memory of www to 96.0 MB");
        assert_eq!(change.to_string(), "www:memory=96M");
    }

    #[test]
    fn only_the_count_of_an_ignored_wish_is_ignored() {
        let ignored = |text: &str| text.parse::<Change>().unwrap().is_ignored(&["db".to_owned()]);
        assert_eq!(["db=2", "db:memory=512M", "www=2"].map(ignored), [true, false, false]);
    }
}
