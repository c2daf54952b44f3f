//! The manual pages are what their sources make of them, complete, and in order for groff and mandoc.
//!
//! `make man` runs this with `SAX_MAN=write`, and the pages are written instead of compared.

mod man;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use man::page::{PAGES, file, page, released};
use man::usage::{names, parsed};

#[test]
fn the_pages_are_what_their_sources_make() {
    for path in PAGES {
        let made = page(path);
        if std::env::var_os("SAX_MAN").is_some_and(|word| word == "write") {
            std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(path), &made).unwrap();
        }
        assert!(file(path) == made, "{path} is not what its sources make of it; please run: make man");
    }
}
