//! The smallest application of each type whose only page says which edit it has seen.

use std::path::{Path, PathBuf};

/// A type of service, and how an edit of it shows.
pub struct Kind {
    pub name: &'static str,
    /// Beside the build file's `type:`.
    pub build_file: &'static str,
    /// Other files: path and content.
    pub files: &'static [(&'static str, &'static str)],
    pub edited: &'static str,
    /// The edited file, with [`HERE`] where the text goes that the page shows.
    pub text: &'static str,
    /// Where an instance answers HTTP.
    pub port: u16,
    /// The highest accepted median, in milliseconds.
    pub target_ms: f64,
}

const HERE: &str = "@HERE@";

pub const KINDS: &[Kind] = &[
    Kind {
        name: "static",
        build_file: "",
        files: &[],
        edited: "index.html",
        text: "<!doctype html>\n<title>static</title>\n<p>@HERE@</p>\n",
        port: 80,
        target_ms: 250.0,
    },
    Kind {
        name: "php",
        build_file: "",
        files: &[],
        edited: "index.php",
        text: "<?php\nheader('Content-Type: text/plain');\necho '@HERE@';\n",
        port: 80,
        target_ms: 250.0,
    },
    Kind {
        name: "python",
        build_file: "",
        files: &[],
        edited: "wsgi.py",
        text: "def application(environ, start_response):\n    start_response(\"200 OK\", [(\"Content-Type\", \"text/plain\")])\n    return [b\"@HERE@\"]\n",
        port: 80,
        target_ms: 600.0,
    },
    Kind {
        name: "nodejs",
        build_file: "  process: node app.js\n",
        files: &[("package.json", "{ \"name\": \"page\", \"version\": \"1.0.0\", \"private\": true }\n")],
        edited: "app.js",
        text: "require('http').createServer((request, response) => {\n  response.end('@HERE@');\n}).listen(8080);\n",
        port: 8080,
        target_ms: 900.0,
    },
];

impl Kind {
    /// Whether this binary knows the type.
    pub fn is_known(&self) -> bool {
        let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates").join(self.name);
        template.join("service.toml").exists()
    }

    /// Writes the application into an empty folder.
    pub fn write(&self, folder: &Path) {
        let build_file = format!("www:\n  type: {}\n{}", self.name, self.build_file);
        std::fs::write(folder.join("dotcloud.yml"), build_file).unwrap();
        self.files.iter().for_each(|(path, content)| std::fs::write(folder.join(path), content).unwrap());
        self.edit(folder, "before any edit");
    }

    /// Saves the file as an editor does: a new one beside it takes its place.
    pub fn edit(&self, folder: &Path, shown: &str) {
        let (file, draft) = (folder.join(self.edited), self.draft(folder));
        std::fs::write(&draft, self.text.replace(HERE, shown)).unwrap();
        std::fs::rename(draft, file).unwrap();
    }

    fn draft(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{}~", self.edited))
    }
}
