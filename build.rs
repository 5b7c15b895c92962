//! The templates are part of the binary: a new file among them means a new binary.

fn main() {
    println!("cargo::rerun-if-changed=templates");
}
