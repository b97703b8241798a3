//! What a shell and `man` want of the command line: completions and manual pages, written from the tree
//! itself, as [`reference()`](super::reference()) is. Packages hold what is printed here.

use std::fs;
use std::path::PathBuf;

use clap::builder::StyledStr;
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::outcome::{Exit, Failure};
use super::{CommandLine, print};

/// What every page says about its place.
const MANUAL: &str = "Landfall";

/// Arguments of `landfall completions`.
#[derive(Debug, Clone, Args)]
pub struct CompletionsOptions {
    /// The shell that is to complete
    pub shell: Shell,
}

/// Options of `landfall man`.
#[derive(Debug, Clone, Args)]
pub struct ManOptions {
    /// Write every page into this folder, which is made when it is not there; else the first page is printed
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Prints the script that completes `landfall` in a shell.
///
/// # Errors
/// [`Failure`] when the script is not text.
pub fn completions(options: &CompletionsOptions) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut shown(), "landfall", &mut script);
    print::text(&String::from_utf8(script).map_err(anyhow::Error::new)?);
    Ok(())
}

/// Prints the first manual page, or writes all of them.
///
/// # Errors
/// [`Failure`] naming what cannot be written.
pub fn man(options: &ManOptions) -> Result<(), Failure> {
    let mut tree = shown();
    tree.build();
    let mut pages = Vec::new();
    gather(&tree, None, &mut pages)?;
    let Some(folder) = &options.out else {
        let first = pages.last().map(|(_, text)| text.as_str());
        print::text(first.unwrap_or_default());
        return Ok(());
    };
    let written = fs::create_dir_all(folder).and_then(|()| {
        pages
            .iter()
            .try_for_each(|(name, text)| fs::write(folder.join(name), text))
    });
    written.map_err(|error| {
        Failure::new(
            Exit::Refused,
            format!("cannot write the pages into {}: {error}", folder.display()),
            "name a folder that this user may write: --out DIR",
        )
    })
}

/// The tree as users are shown it: without hidden commands, and without `help`, which repeats the tree.
fn shown() -> clap::Command {
    let tree = CommandLine::command();
    let text = |text: Option<&StyledStr>| text.map(ToString::to_string).unwrap_or_default();
    let commands = tree.get_subcommands();
    clap::Command::new("landfall")
        .about(text(tree.get_about()))
        .after_help(text(tree.get_after_help()))
        .version(super::VERSION)
        .subcommand_required(true)
        .disable_help_subcommand(true)
        .subcommands(commands.filter(|command| !command.is_hide_set()).cloned())
}

/// The pages of a command's subcommands and then its own, each with its file name.
fn gather(
    command: &clap::Command,
    parent: Option<&str>,
    pages: &mut Vec<(String, String)>,
) -> Result<(), Failure> {
    let name = command
        .get_display_name()
        .unwrap_or_else(|| command.get_name());
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        gather(sub, Some(name), pages)?;
    }
    let text = page(command, name, parent).map_err(anyhow::Error::new)?;
    pages.push((format!("{name}.1"), text));
    Ok(())
}

fn page(command: &clap::Command, name: &str, parent: Option<&str>) -> std::io::Result<String> {
    let man = Man::new(command.clone());
    // Written here, because the library leaves an empty date out, and everything after it moves up.
    let mut out = format!(
        ".TH \"{}\" \"1\" \"\" \"landfall {}\" \"{MANUAL}\"\n",
        name.to_uppercase(),
        super::VERSION
    )
    .into_bytes();
    man.render_name_section(&mut out)?;
    man.render_synopsis_section(&mut out)?;
    man.render_description_section(&mut out)?;
    if command.get_arguments().any(|option| !option.is_hide_set()) {
        man.render_options_section(&mut out)?;
    }
    if command.has_subcommands() {
        man.render_subcommands_section(&mut out)?;
    }
    let mut rest = Roff::default();
    examples(&mut rest, command);
    exit_status(&mut rest, name);
    see_also(&mut rest, parent);
    rest.to_writer(&mut out)?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// The lines that follow `Example:` in the help, as they are typed.
fn examples(out: &mut Roff, command: &clap::Command) {
    let help = command.get_after_help().map(ToString::to_string);
    let help = help.unwrap_or_default();
    let lines = help
        .lines()
        .skip_while(|line| !line.starts_with("Example"))
        .skip(1)
        .take_while(|line| !line.is_empty());
    out.control("SH", ["EXAMPLES"]);
    out.control("nf", []);
    for line in lines {
        out.text([roman(line.trim_start())]);
    }
    out.control("fi", []);
}

fn exit_status(out: &mut Roff, name: &str) {
    out.control("SH", ["EXIT STATUS"]);
    out.text([roman(
        "0 done, 1 refused or failed, 2 usage, 3 not found, 4 conflict or etag mismatch, \
         5 not authorised, 6 cannot connect.",
    )]);
    if name == "landfall-dev" {
        out.text([roman(
            "With a command: its own; 125 when the server did not start, 126 when the command \
             cannot be executed, 127 when there is none of its name.",
        )]);
    }
}

fn see_also(out: &mut Roff, parent: Option<&str>) {
    if let Some(parent) = parent {
        out.control("SH", ["SEE ALSO"]);
        out.text([bold(parent), roman("(1)")]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_that_is_shown_has_a_page_and_no_other_has_one() {
        let mut tree = shown();
        tree.build();
        let mut pages = Vec::new();
        gather(&tree, None, &mut pages).expect("written");
        let page = |name: &str| pages.iter().find(|(page, _)| page == name);
        let (_, create) = page("landfall-enrollment-create.1").expect("there");
        for wanted in [
            ".TH \"LANDFALL-ENROLLMENT-CREATE\" \"1\" \"\" \"landfall ",
            ".SH EXAMPLES",
            "landfall enrollment create",
            ".SH \"SEE ALSO\"\n\\fBlandfall\\-enrollment\\fR(1)",
        ] {
            assert!(create.contains(wanted), "{wanted}: {create}");
        }
        assert_eq!(
            pages.last().map(|(name, _)| name.as_str()),
            Some("landfall.1")
        );
        assert!(page("landfall-reference.1").is_none());
        assert!(pages.len() > 60, "{}", pages.len());
    }

    #[test]
    fn a_script_completes_no_hidden_command() {
        let mut script = Vec::new();
        clap_complete::generate(Shell::Bash, &mut shown(), "landfall", &mut script);
        let script = String::from_utf8(script).expect("text");
        assert!(script.contains("linked-hub"));
        assert!(!script.contains("reference"));
    }
}
