//! The wording and the places of findings, as a person sees them.

use insta::assert_snapshot;

use super::*;

#[test]
fn unknown_type_is_shown_with_its_line_a_caret_and_a_suggestion() {
    assert_eq!(
        rendered("www:\n  # the site\n  type: pyton\n"),
        "\
error: Unknown service type \"pyton\"
 --> dotcloud.yml:3:9
  |
3 |   type: pyton
  |         ^^^^^
  = help: Did you mean \"python\"?
"
    );
}

#[test]
fn all_findings_of_a_file_are_reported_at_once() {
    assert_snapshot!(rendered(
        "My-Site:
  type: postgres
  aproot: web
  instances: 0
  postinstall: [a, b]
  ports:
    web: 8080
    log: tpc
    a b: tcp
  process: run
  processes:
    - a
  environment:
    DOTCLOUD_X: y
    A-B: c
  systempackages: libfoo
  requirements: {a: b}
worker: python-worker
db:
cache:
  Type: redis
lists:
  - a
code:
  type: custom
  approot: ../../etc
old:
  type: opa
  approot: /srv
  config:
    systempackages: [x]
    ruby-version: 1
    ruby_version: 2
"
    ));
}

#[test]
fn ports_are_for_code_services_and_do_not_share_a_variable() {
    let ports = |kind: &str, ports: &str| messages(&format!("a:\n  type: {kind}\n  ports: {{{ports}}}\n"));
    assert_eq!(ports("python", "mc-admin: tcp, MC: tcp, http: http, peek: udp"), [""; 0]);
    assert_eq!(ports("redis", "x: tcp"), ["error 3:3 A redis service has no \"ports\": it has an address of its own"]);
    assert_eq!(ports("python", "a-b: tcp, A_B: udp")[0], "error 3:21 The ports \"a-b\" and \"A_B\" are the same");
    assert_eq!(ports("python", "ssh: tcp"), ["error 3:11 PORT_SSH belongs to the platform"]);
    assert_eq!(ports("python", "http: tcp"), ["error 3:17 A port called \"http\" carries HTTP"]);
    let long = "x".repeat(33);
    assert_eq!(ports("python", &format!("{long}: tcp")), [format!("error 3:11 \"{long}\" is not a port's name")]);
    let shadowed = messages("a:\n  type: python\n  ports: {www: http}\n  environment: {PORT_WWW: 80}\n");
    assert_eq!(shadowed, ["warning 4:17 \"PORT_WWW\" is a port of this service and set by the platform"]);
}

#[test]
fn services_whose_ports_share_variables_are_warned_of() {
    let text = "www:\n  type: python\n  ports: {api: http}\nwww_api:\n  type: python\n";
    assert_eq!(messages(text), ["warning 1:1 The services \"www\" and \"www_api\" share variables"]);
    let text = "a:\n  type: python\n  ports: {b_c: tcp}\na_b:\n  type: python\n  ports: {c: tcp}\n";
    assert_eq!(messages(text).len(), 2);
}

#[test]
fn duplicate_keys_tell_both_positions() {
    assert_snapshot!(rendered("www:\n  type: python\ndb:\n  type: redis\n  type: mysql\nwww:\n  type: php\n"));
}

#[test]
fn tab_indentation_is_explained_once_and_the_rest_is_checked_too() {
    assert_snapshot!(rendered("www:\n\ttype: static\n\tapproot: client\nws:\n\ttype: nodjs\n"));
}

#[test]
fn single_line_with_a_tab_among_spaces_is_found() {
    assert_snapshot!(rendered("www:\n  systempackages:\n    - a\n\t- b\n  type: python\n"));
}

#[test]
fn tabs_between_key_and_value_are_refused_and_the_rest_is_checked_too() {
    let tab = |place| format!("error {place} A tab stands before the value");
    let text = "www:\n  type:\tpython\n  approot: \tx\n  requirements:\n    -\ta\ndb:\n  type: rediss\n";
    let unknown = "error 7:9 Unknown service type \"rediss\"".to_owned();
    assert_eq!(messages(text), [tab("2:8"), tab("3:11"), tab("5:6"), unknown]);
    assert_eq!(messages("www: {type:\tpython,\n\t'approot':\t.}\n"), [""; 0]);
}

#[test]
fn template_placeholder_is_named() {
    assert_snapshot!(rendered("www:\n  approot: {{ project_name }}\n  type: python\n"));
}

#[test]
fn broken_entry_does_not_hide_the_others() {
    assert_snapshot!(rendered(
        "one:
  type: python
    approot: x
two:
  type:python
three:
  type: pyhton
four:
  type: 'python
five:
  type: [python
six:
  type: @python
seven:
  process: a: b
  type: python
eight:
  type: python
 approot: x
nine:
  systempackages: - a
"
    ));
}

#[test]
fn other_grammar_mistakes_are_worded_for_people() {
    for (text, message, hint) in [
        ("a: *b\n", "This alias refers to an anchor that does not exist", "put the value in quotes"),
        ("a: 'b' c\n", "There is text behind the closing quote", "Put the whole value in quotes"),
        ("a: \"\\d\"\n", "Unknown escape sequence", "Use single quotes"),
        ("a: ]\n", "This bracket was never opened", "Remove it"),
        ("a: !ruby/object x\n", "Unknown tag \"!ruby/object\"", "Remove it"),
        ("a: &x [*x]\n", "This alias stands inside the value it refers to", ""),
        ("- a\nb: c\n", "A list item must begin with \"- \"", "Begin the line with"),
        ("a: b\n? [c]\n: d\n", "A key must be plain text", ""),
        ("a:\n  : b\n", "A key is missing before the colon", "Write"),
        ("a: {<<: b, type: redis}\n", "Only mappings can be merged", "<<: *anchor"),
    ] {
        let parsed = parse(text.as_bytes(), &[]);
        let found = parsed.diagnostics.iter().find(|finding| finding.message.starts_with(message));
        let found = found.unwrap_or_else(|| panic!("{text}: {}", rendered(text)));
        assert!(found.is_error() && found.hint.as_deref().unwrap_or_default().contains(hint), "{}", rendered(text));
    }
}

#[test]
fn files_without_a_mapping_of_services_are_refused() {
    assert_eq!(messages(""), ["error 1:1 The build file is empty"]);
    assert_eq!(messages("# only a note\n"), ["error 1:1 The build file is empty"]);
    assert_eq!(messages("---\n...\n"), ["error 2:1 The build file is empty"]);
    assert_eq!(messages("{}\n"), ["error 1:1 The build file names no service"]);
    assert_eq!(messages("- www\n"), ["error 1:1 A build file must be a mapping of services, not a list"]);
    assert_eq!(messages("www\n"), ["error 1:1 A build file must be a mapping of services, not plain text"]);
    let second = "error 3:1 A build file holds one document; a second one begins here";
    assert_eq!(messages("www:\n  type: python\n---\ndb:\n  type: redis\n"), [second]);
}

#[test]
fn files_that_are_no_text_are_refused_with_the_place() {
    let refused = |bytes: &[u8]| {
        let parsed = parse(bytes, &[]);
        let finding = &parsed.diagnostics[0];
        format!("{}:{} {}", finding.span.line, finding.span.column, finding.message)
    };
    assert_eq!(refused(b"www:\n  type: \xe9\n"), "2:9 The file is not UTF-8");
    assert_eq!(refused(b"\xff\xfew\0"), "1:1 The file is UTF-16, not UTF-8");
    assert_eq!(refused("é:\n a\u{0}b".as_bytes()), "2:3 The character U+0000 is not allowed");
    assert_eq!(refused("a: \u{1b}[31m".as_bytes()), "1:4 The character U+001B is not allowed");
}

#[test]
fn unknown_keys_are_fine_and_slips_are_warned_about() {
    assert_eq!(messages("www:\n  type: python\n  node_version: 0.6\n  app_url: x\n"), [""; 0]);
    let warning = "warning 3:3 The platform has no key \"enviroment\"; only build scripts see it";
    assert_eq!(messages("www:\n  type: python\n  enviroment: {A: b}\n"), [warning]);
    let warning = "warning 3:3 \"approot\" has no value and is ignored";
    assert_eq!(messages("www:\n  type: python\n  approot:\n"), [warning]);
}

#[test]
fn places_count_characters_and_not_bytes() {
    assert_eq!(messages("# é\nwww: {über: ü, type: pyton}\n"), ["error 2:22 Unknown service type \"pyton\""]);
    let rendered = rendered("www: {名前: 値, type: pyton}\n");
    let [line, caret] = [3, 4].map(|number| rendered.lines().nth(number).unwrap().to_owned());
    // Two of the cells before the caret belong to each of the three wide characters.
    assert_eq!(line.find("pyton").unwrap() - 3 * 3 + 3 * 2, caret.find('^').unwrap());
}

#[test]
fn long_lines_are_shown_in_part() {
    let text = format!("www: {{a: {}, type: pyton, b: {}}}\n", "x".repeat(5000), "y".repeat(5000));
    let rendered = rendered(&text);
    assert!(rendered.lines().all(|line| line.chars().count() < 150), "{rendered}");
    let marked: Vec<&str> =
        rendered.lines().filter(|line| line.contains("type: pyton") || line.contains('^')).collect();
    assert_eq!(marked[0].find("pyton").map(|at| at - "…".len() + 1), marked[1].find('^'));
}

#[test]
fn colours_are_there_when_asked_for() {
    let text = b"www: x\n";
    let finding = &parse(text, &[]).diagnostics[0];
    assert!(render(finding, "f", text, true).contains("\u{1b}["));
    assert!(!render(finding, "f", text, false).contains('\u{1b}'));
}

#[test]
fn wrong_shared_folders_are_shown_with_their_places_and_a_way_out() {
    assert_snapshot!(rendered(
        "www:
  type: python
  config:
    shared_folders:
      Up Loads: ~/a
      code: ~/current/uploads
      logs: store
      inner: ~/b/c
      outer: ~/b
      none:
      list: [~/x]
db:
  type: redis
  config:
    shared_folders: {a: ~/a}
jobs:
  type: python-worker
  config:
    shared_folder: {a: ~/a}
"
    ));
}
