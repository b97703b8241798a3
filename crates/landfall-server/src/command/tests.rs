//! The command tree: it parses, explains itself, and prints its reference.

use clap::CommandFactory as _;

use super::*;

fn walk(command: &clap::Command, path: &str, visit: &mut dyn FnMut(&clap::Command, &str)) {
    visit(command, path);
    for sub in command
        .get_subcommands()
        .filter(|sub| sub.get_name() != "help")
    {
        walk(sub, &format!("{path} {}", sub.get_name()), visit);
    }
}

#[test]
fn the_tree_is_sound() {
    CommandLine::command().debug_assert();
}

#[test]
fn every_help_ends_with_an_example_that_parses() {
    let mut seen = 0;
    walk(&CommandLine::command(), "landfall", &mut |command, path| {
        seen += 1;
        let help = command
            .get_after_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        let example = help
            .lines()
            .skip_while(|line| *line != "Example:")
            .nth(1)
            .unwrap_or_else(|| panic!("{path} has no example"));
        let words = shell_words(example.trim());
        if let Err(error) = CommandLine::try_parse_from(&words) {
            panic!("the example of {path} does not parse: {error}");
        }
        let leaf = command.get_subcommands().next().is_none();
        assert!(
            !leaf || example.trim().starts_with(path),
            "{path}: {example}"
        );
    });
    assert!(seen > 35, "{seen} commands");
}

/// Splits as a shell would, as far as the examples need it.
fn shell_words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in line.chars() {
        match (quote, c) {
            (None, ' ') => words.push(std::mem::take(&mut word)),
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (_, c) => word.push(c),
        }
    }
    words.push(word);
    words
}

#[test]
fn flags_have_the_short_names_that_az_has() {
    for line in [
        "landfall enrollment create --eid d --at symmetrickey --pk K --sk K --hn h --tags {} --props {} --ps disabled --rp never --ap geolatency --wh https://w --av 2021-10-01 --edge-enabled true --info {} --keys",
        "landfall enrollment create --eid d --at x509 --cp a.pem --scp b.pem --ih h1 h2 --device-id x",
        "landfall enrollment create --eid d --at tpm --ek K --storage-root-key K --edge-enabled",
        "landfall enrollment update --eid d --etag e --rc --rsc true",
        "landfall group create --gid g --ca-name one --scn two --ih h1,h2",
        "landfall group create g --cn one",
        "landfall group update --group-id g --remove-certificate true",
        "landfall group compute-device-key --gid g --registration-id r --key K",
        "landfall registration list --gid g --top 3",
        "landfall ca create --name n --path f --verified",
        "landfall ca verify n --path f",
        "landfall hub device show d --json --login x --ca y --data z --service s",
        "landfall --help",
    ] {
        match CommandLine::try_parse_from(line.split(' ')) {
            Ok(_) => {}
            Err(error) if error.kind() == clap::error::ErrorKind::DisplayHelp => {}
            Err(error) => panic!("{line}: {error}"),
        }
    }
    for line in [
        "landfall enrollment create",
        "landfall enrollment show a --eid b",
        "landfall enrollment create a --at sms",
        "landfall group create g --device-id d",
        "landfall explain",
    ] {
        let error = CommandLine::try_parse_from(line.split(' ')).err();
        let error = error.unwrap_or_else(|| panic!("{line} parses"));
        assert_eq!(error.exit_code(), 2, "{line}");
    }
}

#[test]
fn the_reference_names_every_command_and_option() {
    let page = reference();
    walk(&CommandLine::command(), "landfall", &mut |command, path| {
        if command.is_hide_set() || command.get_subcommands().next().is_some() {
            return;
        }
        assert!(page.contains(&format!("\n## `{path}`\n")), "{path}");
        for arg in command.get_arguments().filter_map(clap::Arg::get_long) {
            assert!(page.contains(&format!("`--{arg}`")), "{path} --{arg}");
        }
    });
    assert!(!page.contains("## `landfall reference`"));
}

#[test]
fn connection_options_may_stand_before_the_command() {
    for (given, wanted) in [
        (
            "landfall --data D enrollment show x",
            "landfall enrollment --data D show x",
        ),
        (
            "landfall --json -l S --ca=C explain x",
            "landfall explain --json -l S --ca=C x",
        ),
        ("landfall explain x --json", "landfall explain x --json"),
        ("landfall --help", "landfall --help"),
        ("landfall --data", "landfall --data"),
        ("landfall", "landfall"),
    ] {
        let words = given.split(' ').map(OsString::from);
        assert_eq!(in_place(words).join(&OsString::from(" ")), wanted);
    }
}
