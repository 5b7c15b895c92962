//! The service types: template bytes -> [`ServiceType`], checked strictly.
//!
//! A type is a folder: `service.toml`, Dockerfiles, configuration templates, scripts. Nothing
//! outside the folder names the type. Folders that begin with `_` are shared parts of images.
//! Pure: what is on disk is read by the caller; the embedded folders are part of the binary.

mod like;
mod limit;
mod live;
mod recipe;
mod rules;
mod service_type;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};

pub use live::{Live, Reload};
pub use recipe::{BuildRecipe, recipe};
pub use rules::Count;
pub use service_type::{Client, DataSpec, Dump, ImageRecipe, Kind, Purpose, ServiceType};

static TEMPLATES: Dir = include_dir!("$CARGO_MANIFEST_DIR/templates");

/// What every data service's image may copy.
const LENT: &str = "_data";

/// Contents of one folder: relative path -> bytes.
pub type Files = BTreeMap<String, Cow<'static, [u8]>>;

/// Why a folder is not a service type.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    #[error("cannot read {file}")]
    Parse {
        file: String,
        #[source]
        source: Box<toml::de::Error>,
    },
    #[error("{file}: {problem}")]
    Invalid { file: String, problem: String },
}

/// All service types and the folders their images are made from.
#[derive(Debug, Clone)]
pub struct Catalog {
    folders: BTreeMap<String, Files>,
    types: BTreeMap<String, ServiceType>,
}

impl Catalog {
    /// The types this binary carries.
    ///
    /// # Errors
    /// Only when a template of ours is wrong, which a test excludes.
    pub fn embedded() -> Result<Self, CatalogError> {
        let mut contents = Vec::new();
        collect(&TEMPLATES, &mut contents);
        Self { folders: BTreeMap::new(), types: BTreeMap::new() }.with_folder(contents)
    }

    /// Adds folders of the user's own, or replaces ours: (`<type>/<file>`, bytes).
    ///
    /// # Errors
    /// The first wrong `service.toml`, with file and key.
    pub fn with_folder(
        mut self,
        contents: impl IntoIterator<Item = (PathBuf, Cow<'static, [u8]>)>,
    ) -> Result<Self, CatalogError> {
        let mut added: BTreeMap<String, Files> = BTreeMap::new();
        for (path, bytes) in contents {
            if let Some((folder, file)) = split(&path) {
                added.entry(folder).or_default().insert(file, bytes);
            }
        }
        self.folders.extend(added);
        // All of them: a type may be like one that was replaced.
        for name in self.folders.keys() {
            if let Some(parsed) = service_type::parse(name, &self.folders)? {
                self.types.insert(name.clone(), parsed);
            }
        }
        self.check_parents()?;
        self.lend();
        Ok(self)
    }

    /// Data services whose images are made from none of ours have the files of [`LENT`], unless
    /// they bring files of these names.
    fn lend(&mut self) {
        let Some(lent) = self.folders.get(LENT).cloned() else { return };
        let is_first = |of: &&ServiceType| of.images.pull.is_some() || of.images.from == "base";
        let borrowers = self.types.values().filter(|of| of.data.is_some() && of.images.same_as.is_none());
        for borrower in borrowers.filter(is_first) {
            let files = self.folders.entry(borrower.name.clone()).or_default();
            for (path, bytes) in &lent {
                files.entry(path.clone()).or_insert_with(|| bytes.clone());
            }
        }
    }

    fn check_parents(&self) -> Result<(), CatalogError> {
        let problem = |of: &ServiceType| match &of.images.same_as {
            Some(other) if self.types.get(other).is_none_or(|other| other.images.same_as.is_some()) => {
                Some(format!("images.same_as: {other:?} is no type with images of its own"))
            }
            None if of.images.pull.is_some() => None,
            None if of.images.from != "base" && !self.folders.contains_key(&of.images.from) => {
                Some(format!("images.from: there is no folder {:?}", of.images.from))
            }
            _ => None,
        };
        let found = self.types.values().find_map(|of| Some((of, problem(of)?)));
        found.map_or(Ok(()), |(of, problem)| Err(CatalogError::Invalid { file: service_type::file(&of.name), problem }))
    }

    pub fn get(&self, type_name: &str) -> Option<&ServiceType> {
        self.types.get(type_name)
    }

    /// In alphabetical order.
    pub fn types(&self) -> impl Iterator<Item = &ServiceType> {
        self.types.values()
    }

    /// The files of a type or of a shared folder.
    pub fn files(&self, folder: &str) -> Option<&Files> {
        self.folders.get(folder)
    }
}

fn collect(dir: &'static Dir<'static>, contents: &mut Vec<(PathBuf, Cow<'static, [u8]>)>) {
    contents.extend(dir.files().map(|file| (file.path().to_owned(), Cow::Borrowed(file.contents()))));
    dir.dirs().for_each(|dir| collect(dir, contents));
}

/// `python/sub/file` -> (`python`, `sub/file`); files outside a folder belong to no type.
fn split(path: &Path) -> Option<(String, String)> {
    let (folder, file) = path.to_str()?.split_once('/')?;
    Some((folder.to_owned(), file.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Memory;

    #[test]
    fn files_of_all_data_services_are_lent_to_those_that_have_none_of_that_name() {
        let catalog = Catalog::embedded().unwrap();
        let pod = |of: &Catalog, name: &str| of.files(name).and_then(|files| files.get("pod").cloned());
        let lent = pod(&catalog, LENT).unwrap();
        for name in ["redis", "smtp", "mongodb"] {
            assert_eq!(pod(&catalog, name).as_ref(), Some(&lent), "{name}");
        }
        // Made from postgresql, which has it already; no data service.
        assert_eq!((pod(&catalog, "postgis"), pod(&catalog, "python")), (None, None));
        let file = |name: &str, text: &'static [u8]| (PathBuf::from(name), Cow::Borrowed(text));
        let toml = catalog.files("redis").unwrap()["service.toml"].clone();
        let own = [(PathBuf::from("redis/service.toml"), toml), file("redis/pod", b"mine")];
        let catalog = catalog.with_folder(own).unwrap();
        assert_eq!(pod(&catalog, "redis").as_deref(), Some(b"mine".as_slice()));
    }

    fn with(text: &'static str) -> Result<Catalog, CatalogError> {
        let file = (PathBuf::from("mine/service.toml"), Cow::Borrowed(text.as_bytes()));
        Catalog::embedded().unwrap().with_folder([file])
    }

    #[test]
    fn every_embedded_type_is_valid_and_has_its_dockerfiles() {
        let catalog = Catalog::embedded().unwrap();
        assert!(catalog.types().count() >= 3);
        for service_type in catalog.types() {
            let files = catalog.files(&service_type.name).unwrap();
            if service_type.images.same_as.is_some() {
                continue;
            }
            for dockerfile in [Some(&service_type.images.runtime), service_type.images.build.as_ref()] {
                assert!(dockerfile.is_none_or(|name| files.contains_key(name)), "{}", service_type.name);
            }
        }
    }

    #[test]
    fn redis_boots_as_the_replica_of_nobody_and_hides_its_password() {
        let catalog = Catalog::embedded().unwrap();
        let redis = catalog.get("redis").unwrap();
        let command = redis.member_command(0, "s3cret", Memory::DEFAULT);
        assert!(command.iter().any(|argument| argument == "s3cret"));
        assert_eq!(redis.client("s3cret").env.get("REDISCLI_AUTH").map(String::as_str), Some("s3cret"));
        let script = catalog
            .files("redis")
            .unwrap()
            .values()
            .any(|bytes| String::from_utf8_lossy(bytes).contains("replicaof 127.0.0.1 1"));
        assert!(script);
    }

    #[test]
    fn a_wrong_key_is_named_with_its_file() {
        let error = with("kind = \"code\"\ncolour = \"red\"\n").unwrap_err();
        let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        assert!(error.to_string().contains("mine/service.toml"), "{error}");
        assert!(source.contains("colour"), "{source}");
    }

    #[test]
    fn a_data_type_needs_its_section() {
        let error = with("kind = \"data\"\nsummary = \"x\"\n[images]\nfrom = \"base\"\n").unwrap_err();
        assert_eq!(error.to_string(), "mine/service.toml: [data] is required for kind = \"data\"");
    }

    #[test]
    fn a_missing_parent_is_named() {
        let error = with("kind = \"code\"\nsummary = \"x\"\n[images]\nfrom = \"gone\"\n").unwrap_err();
        assert_eq!(error.to_string(), "mine/service.toml: images.from: there is no folder \"gone\"");
    }

    #[test]
    fn images_are_shared_with_a_type_that_has_its_own() {
        let text = "kind = \"code\"\nsummary = \"x\"\n[images]\nsame_as = \"gone\"\n";
        let error = with(text).unwrap_err();
        assert_eq!(error.to_string(), "mine/service.toml: images.same_as: \"gone\" is no type with images of its own");
    }

    #[test]
    fn settings_of_the_build_file_reach_the_server() {
        let catalog = Catalog::embedded().unwrap();
        let smtp = catalog.get("smtp").unwrap();
        let given = [("smtp_relay_server".to_owned(), serde_json::json!("mail.example"))].into();
        // A password that looks like a setting is none.
        let words = smtp.configured(smtp.member_command(0, "{config.}", Memory::DEFAULT), &given);
        assert_eq!(words[1..], ["{config.}", "mail.example", "25", "", ""]);
    }

    #[test]
    fn every_setting_of_a_type_is_one_that_build_files_are_checked_for() {
        use crate::model::settings::{SETTINGS, setting};
        let catalog = Catalog::embedded().unwrap();
        for (of, key, default) in catalog.types().flat_map(|of| of.config.iter().map(move |(k, v)| (of, k, v))) {
            let known = setting(&of.name, key).unwrap_or_else(|| panic!("{}: {key}", of.name));
            let text = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
            assert!(known.takes.accepts(&text), "{}: {key} = {text}", of.name);
        }
        let asked = |of: &ServiceType, key: &str| of.config.contains_key(key) || key == "replication";
        for (name, key) in SETTINGS.iter().flat_map(|one| one.types.iter().map(|name| (*name, one.key))) {
            assert!(asked(catalog.get(name).unwrap(), key), "{name} has no {key}");
        }
    }

    #[test]
    fn a_server_may_ask_for_settings_of_its_type_alone() {
        let text = "kind = \"data\"\nsummary = \"x\"\n[images]\nfrom = \"base\"\n[data]\nkind_variable = \"X\"\n\
                    url_scheme = \"x\"\nlogin = \"\"\nport = 1\ndata_path = \"/x\"\npod_command = []\n\
                    client_command = []\nserver_command = [\"{config.gone}\"]\n";
        let error = with(text).unwrap_err().to_string();
        assert_eq!(error, "mine/service.toml: data.server_command: gone is not in [config]");
    }

    #[test]
    fn a_port_variable_names_the_http_port() {
        let without = "kind = \"code\"\nsummary = \"x\"\nport_variable = \"PORT_X\"\n[images]\nfrom = \"_common\"\n";
        let error = with(without).unwrap_err();
        assert_eq!(error.to_string(), "mine/service.toml: port_variable names http_port, which is missing");
        let wrong =
            "kind = \"code\"\nsummary = \"x\"\nhttp_port = 8080\nport_variable = \"X\"\n[images]\nfrom = \"_common\"\n";
        assert!(with(wrong).unwrap_err().to_string().contains("must be PORT_"));
        let catalog = Catalog::embedded().unwrap();
        assert_eq!(catalog.get("python").unwrap().own_port_variable(), "PORT_HTTP");
    }

    #[test]
    fn a_folder_of_the_users_replaces_ours() {
        let text = b"kind = \"code\"\nsummary = \"my static\"\nhttp_port = 8080\n[images]\nfrom = \"_common\"\n";
        let file = (PathBuf::from("static/service.toml"), Cow::Borrowed(&text[..]));
        let catalog = Catalog::embedded().unwrap().with_folder([file]).unwrap();
        assert_eq!(catalog.get("static").unwrap().http_port, Some(8080));
    }
}
