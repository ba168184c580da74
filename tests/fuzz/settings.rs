//! vsftpd.conf: no file breaks the reader, its mistakes are told in printable lines, and what was read is printed as a file that is read
//! as the same.

use crate::config::options::Scope;
use crate::config::{self, Source};
use crate::place::Place;
use std::cell::OnceCell;

thread_local! {
    static PLACE: OnceCell<Place> = const { OnceCell::new() };
}

pub fn run(data: &[u8]) {
    PLACE.with(|place| read(place.get_or_init(Place::new), data));
}

fn read(place: &Place, data: &[u8]) {
    let file = place.write("conf", data);
    let (loaded, mistakes) = config::read(&config::Own, &[Source::File(file.clone())]);
    for mistake in &mistakes {
        let text = mistake.to_string();
        assert!(!text.contains(char::is_control), "{text:?}");
        assert!(text.len() < 4096, "{} bytes", text.len());
    }
    let mut printed = Vec::new();
    config::print(&loaded, &mut printed).unwrap();
    if mistakes.is_empty() {
        let again = place.write("printed", &printed);
        let (second, none) = config::read(&config::Own, &[Source::File(again)]);
        let texts: Vec<String> = none.iter().map(ToString::to_string).collect();
        assert!(texts.is_empty(), "{texts:?}");
        let mut twice = Vec::new();
        config::print(&second, &mut twice).unwrap();
        assert_eq!(values(&printed), values(&twice));
        let _ = config::remarks(&config::Own, &loaded);
        let _ = loaded.overlay(&config::Own, &file, Scope::PerUser);
    }
    if let Some(line) = data.split(|byte| *byte == b'\n').next() {
        let _ = config::load(
            &config::Own,
            &[
                Source::File(place.write("empty", b"")),
                Source::Setting(line.to_vec()),
            ],
        );
    }
}

/// Without the comments that tell where a value came from.
fn values(text: &[u8]) -> Vec<&[u8]> {
    text.split(|byte| *byte == b'\n')
        .filter(|line| !line.starts_with(b"#"))
        .collect()
}
