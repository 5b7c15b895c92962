//! What holds for every text.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;
use crate::model::{DATA_TYPES, PLATFORM_TYPES, PortKind, Processes};

/// What must hold for any bytes at all.
fn check(bytes: &[u8]) {
    let parsed = parse(bytes, &[]);
    let errors = parsed.diagnostics.iter().any(Diagnostic::is_error);
    assert_eq!(parsed.stack.is_none(), errors, "{parsed:?}");
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let readable = std::str::from_utf8(bytes).is_ok();
    for finding in &parsed.diagnostics {
        let span = finding.span;
        assert!(span.start <= span.end && span.end <= text.len(), "{finding:?}");
        assert!(span.column <= span.end_column && span.line >= 1 && span.column >= 1, "{finding:?}");
        if readable {
            assert_eq!(Source::new(text).span(span.start..span.end), span, "{finding:?}");
        }
        let rendered = render(finding, "f", bytes, false);
        assert!(rendered.contains('^'), "{rendered}");
    }
    let order: Vec<usize> = parsed.diagnostics.iter().take(MAX_DIAGNOSTICS).map(|finding| finding.span.start).collect();
    assert!(order.is_sorted());
}

/// Pieces that make up build files, and pieces that break them.
fn piece() -> impl Strategy<Value = String> {
    const PIECES: &[&str] = &[
        "www",
        "db",
        "type",
        "python",
        "config",
        "ports",
        "http",
        "<<",
        "a",
        "é",
        "日",
        ":",
        ": ",
        ":\t",
        "- ",
        "-",
        "\n",
        "\n  ",
        "\n    ",
        "\n\t",
        "\r\n",
        "\r",
        " ",
        "\t",
        "#",
        " # x",
        "\"",
        "'",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "&a ",
        "*a",
        "!b ",
        "|",
        ">",
        "|\n  x",
        "---\n",
        "...\n",
        "%",
        "@",
        "`",
        "\\",
        "? ",
        "~",
        "null",
        "{{ x }}",
        "\u{feff}",
        "\u{85}",
        "type: python",
        "www:\n  type: python\n",
        "environment:\n    A: b\n",
        "\"x\ny\"",
        "[a,\nb]",
        "\u{0}",
        "=",
    ];
    prop_oneof![8 => proptest::sample::select(PIECES).prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_answered_with_findings_inside_the_text(bytes in vec(any::<u8>(), 0..300)) {
        check(&bytes);
    }

    #[test]
    fn any_heap_of_yaml_pieces_is_answered_with_findings_inside_the_text(pieces in vec(piece(), 0..60)) {
        check(pieces.concat().as_bytes());
    }

    #[test]
    fn what_is_written_is_read(stack in stack_of_services(), style in any::<bool>()) {
        let text = written(&stack, style);
        let parsed = parse(text.as_bytes(), &[]);
        prop_assert_eq!(parsed.stack.as_ref(), Some(&stack), "{}\n{:?}", text, parsed.diagnostics);
    }
}

fn text() -> impl Strategy<Value = String> {
    let allowed = |c: &char| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}');
    let printable = proptest::char::any().prop_filter("allowed in YAML", allowed);
    vec(printable, 1..20).prop_map(|characters| characters.into_iter().collect())
}

fn command() -> impl Strategy<Value = Option<String>> {
    proptest::option::of(text().prop_filter("not nothing", |text| !text.is_empty()))
}

fn processes() -> impl Strategy<Value = Processes> {
    prop_oneof![
        Just(Processes::Unset),
        text().prop_map(Processes::Single),
        btree_map("[a-z0-9_]{1,8}", text(), 1..3).prop_map(Processes::Named),
    ]
}

fn kind() -> impl Strategy<Value = PortKind> {
    proptest::sample::select(&[PortKind::Http, PortKind::Tcp, PortKind::Udp][..])
}

prop_compose! {
    fn any_service()(
        type_name in proptest::sample::select(PLATFORM_TYPES),
        approot in "[a-z]{1,5}(/[a-z]{1,5}){0,2}",
        instances in 1..=256_u32,
        hooks in [command(), command(), command(), command()],
        lists in [vec(text(), 0..3), vec(text(), 0..3), vec(text(), 0..3)],
        config in btree_map("[a-z_]{3,12}", text().prop_map(serde_json::Value::String), 0..4),
        environment in btree_map("[A-Za-z0-9_]{1,8}", text(), 0..4),
        ports in btree_map("p[a-z0-9_]{1,7}", kind(), 0..4),
        processes in processes(),
    ) -> ServiceSpec {
        let [prebuild, postbuild, postinstall, buildscript] = hooks;
        let [systempackages, requirements, exclude_bundler_groups] = lists;
        let ports = if DATA_TYPES.contains(&type_name) { BTreeMap::new() } else { ports };
        ServiceSpec {
            name: "a".parse().unwrap(), type_name: type_name.to_owned(), approot, instances,
            prebuild, postbuild, postinstall, buildscript, systempackages, requirements, config,
            shared_folders: BTreeMap::new(),
            environment, ports, processes, exclude_bundler_groups, exported: BTreeMap::new(),
        }
    }
}

fn stack_of_services() -> impl Strategy<Value = Stack> {
    btree_map("[a-z0-9_]{1,16}", any_service(), 1..4).prop_map(|services| {
        let named = |(name, service): (String, ServiceSpec)| {
            let mut service = ServiceSpec { name: name.parse().unwrap(), ..service };
            service.exported = exported(&service);
            service
        };
        Stack { services: services.into_iter().map(named).collect() }
    })
}

/// The service as JSON, which is YAML too.
fn as_json(service: &ServiceSpec) -> serde_json::Map<String, serde_json::Value> {
    let mut json = serde_json::to_value(service).unwrap();
    let fields = json.as_object_mut().unwrap();
    fields.remove("name");
    fields.remove("exported");
    fields.remove("processes");
    match &service.processes {
        Processes::Unset => {}
        Processes::Single(command) => drop(fields.insert("process".to_owned(), command.as_str().into())),
        Processes::Named(commands) => {
            drop(fields.insert("processes".to_owned(), serde_json::to_value(commands).unwrap()));
        }
    }
    let type_name = fields.remove("type_name").unwrap();
    fields.insert("type".to_owned(), type_name);
    let instances = fields["instances"].to_string();
    fields.insert("instances".to_owned(), instances.into());
    fields.retain(|_, value| !value.is_null());
    std::mem::take(fields)
}

fn exported(service: &ServiceSpec) -> BTreeMap<String, String> {
    let mut exported = BTreeMap::new();
    for (key, value) in as_json(service) {
        match value {
            serde_json::Value::String(text) => drop(exported.insert(key, text)),
            serde_json::Value::Object(inner) => {
                let text = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
                exported.extend(inner.into_iter().map(|(name, value)| (format!("{key}_{name}"), text(value))));
            }
            _ => {}
        }
    }
    exported
}

/// The stack as a build file, in block or in flow style.
fn written(stack: &Stack, flow: bool) -> String {
    let service = |service: &ServiceSpec| {
        let fields = as_json(service);
        let lines = fields.iter().map(|(key, value)| format!("  {key}: {value}\n"));
        if flow {
            format!("\"{}\": {}\n", service.name, serde_json::Value::Object(fields))
        } else {
            format!("{}:\n{}", service.name, lines.collect::<String>())
        }
    };
    stack.services.iter().map(service).collect()
}
