//! `dotcloud url`: where services answer.

use crate::api::types::Service;
use crate::model::{AppName, ServiceName};

use super::{CliError, Context};

/// Print where the services answer
///
/// Names under .localhost are for browsers; the form with 127.0.0.1 works everywhere.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Only this service: its URLs alone
    pub service: Option<ServiceName>,
}

pub async fn run(args: Args, ctx: &Context) -> Result<u8, CliError> {
    let app = ctx.app()?;
    let services = ctx.services(&app, args.service.as_ref()).await?;
    if ctx.json {
        let urls = |service: &Service| (service.name.clone(), addresses(service).into());
        ctx.ui.json(&services.iter().map(urls).collect::<serde_json::Map<_, serde_json::Value>>());
    } else if args.service.is_some() {
        ctx.ui.print(services.iter().flat_map(addresses).collect::<Vec<_>>().join(" "));
    } else {
        services
            .iter()
            .filter(|service| !addresses(service).is_empty())
            .for_each(|service| ctx.ui.print(line(service)));
    }
    Ok(0)
}

/// What a browser or a client dials: the service's own addresses, then the TCP and UDP ports of
/// each of its instances.
pub fn addresses(service: &Service) -> Vec<String> {
    let is_direct = |url: &&String| url.starts_with("tcp://") || url.starts_with("udp://");
    let ports = service.instances.iter().flat_map(|instance| &instance.ports).map(|port| &port.url);
    service.urls.iter().chain(&service.address).chain(ports.filter(is_direct)).cloned().collect()
}

fn line(service: &Service) -> String {
    format!("{:17} {}", format!("{}:", service.name), addresses(service).join(" ; "))
}

/// Says where the application is, after it was deployed.
pub async fn live(app: &AppName, ctx: &Context) -> Result<(), CliError> {
    let services = ctx.client.services(app.as_str()).await?;
    if ctx.json {
        let urls: Vec<String> = services.iter().flat_map(|service| service.urls.clone()).collect();
        ctx.ui.json(&serde_json::json!({ "application": app, "urls": urls }));
        return Ok(());
    }
    ctx.ui.success(format!("Application is live{}", places(&services)));
    Ok(())
}

/// ` at http://a (127.0.0.1…)`; several services on lines of their own.
fn places(services: &[Service]) -> String {
    let places: Vec<String> = services.iter().filter_map(place).collect();
    match places.as_slice() {
        [] => String::new(),
        [place] => format!(" at {place}"),
        several => format!(" at:\n    {}", several.join("\n    ")),
    }
}

fn place(service: &Service) -> Option<String> {
    let (first, others) = service.urls.split_first()?;
    Some(if others.is_empty() { first.clone() } else { format!("{first} ({})", others.join(", ")) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str, urls: &[&str]) -> Service {
        serde_json::from_value(serde_json::json!({ "name": name, "urls": urls })).unwrap()
    }

    #[test]
    fn direct_ports_of_every_instance_follow_the_urls() {
        let port = |name: &str, url: &str| serde_json::json!({"name": name, "url": url});
        let of = |number: u32, tcp: &str| serde_json::json!({"instance_id": number, "ports": [port("http", "http://a"), port("logs", tcp)]});
        let service: Service = serde_json::from_value(serde_json::json!({
            "name": "www", "urls": ["http://a"], "instances": [of(0, "tcp://127.0.0.1:1"), of(1, "tcp://127.0.0.1:2")],
        }))
        .unwrap();
        assert_eq!(addresses(&service), ["http://a", "tcp://127.0.0.1:1", "tcp://127.0.0.1:2"]);
    }

    #[test]
    fn places_name_every_web_service_with_its_address() {
        let www = service("www", &["http://www.ramen.localhost:8080", "http://127.0.0.1:8081"]);
        assert_eq!(
            places(&[www.clone(), service("db", &[])]),
            " at http://www.ramen.localhost:8080 (http://127.0.0.1:8081)"
        );
        assert_eq!(places(&[service("db", &[])]), "");
        let api = service("api", &["http://api.ramen.localhost:8080"]);
        let expected =
            " at:\n    http://www.ramen.localhost:8080 (http://127.0.0.1:8081)\n    http://api.ramen.localhost:8080";
        assert_eq!(places(&[www, api]), expected);
    }
}
