//! `like = "mysql"`: a type that is another one but for what its own file says.

use toml::{Table, Value};

/// The type that this file is like, if it says so. A file that cannot be read says nothing.
pub(super) fn model(text: &str) -> Option<String> {
    text.parse::<Table>().ok()?.get("like")?.as_str().map(str::to_owned)
}

/// The model's keys, replaced one by one by those of `text`. Images that are not given are the
/// model's own, not made a second time.
///
/// # Errors
/// When one of the two is no TOML.
pub(super) fn merged(text: &str, model: &str, model_text: &str) -> Result<Table, toml::de::Error> {
    let mut merged: Table = model_text.parse()?;
    let images = Table::from_iter([("same_as".to_owned(), Value::from(model))]);
    merged.insert("images".to_owned(), Value::Table(images));
    let mut own: Table = text.parse()?;
    own.remove("like");
    if let Some(images) = own.remove("images") {
        merged.insert("images".to_owned(), images);
    }
    overlay(&mut merged, own);
    Ok(merged)
}

fn overlay(below: &mut Table, above: Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => overlay(below, above),
            (_, value) => drop(below.insert(key, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: &str = "kind = \"data\"\n[images]\nfrom = \"base\"\n[data]\nport = 1\nlogin = \"root\"\n";

    #[test]
    fn own_keys_replace_those_of_the_model() {
        let own = "like = \"m\"\nsummary = \"s\"\n[data]\nport = 2\n";
        assert_eq!(model(own).as_deref(), Some("m"));
        let merged = merged(own, "m", MODEL).unwrap();
        assert_eq!(merged["data"]["port"].as_integer(), Some(2));
        assert_eq!(merged["data"]["login"].as_str(), Some("root"));
        assert_eq!(merged["images"]["same_as"].as_str(), Some("m"), "{merged}");
        assert!(merged.get("like").is_none());
    }

    #[test]
    fn own_images_are_not_mixed_with_the_models() {
        let merged = merged("like = \"m\"\n[images]\nfrom = \"m\"\n", "m", MODEL).unwrap();
        assert_eq!(merged["images"].as_table().unwrap().len(), 1);
        assert_eq!(merged["images"]["from"].as_str(), Some("m"));
    }
}
