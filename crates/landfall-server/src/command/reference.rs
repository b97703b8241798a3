//! docs/reference/cli.md, written from the command tree itself. The pages on what servers answer are
//! written by [`answers`], that on what is counted by [`metrics`].

pub mod answers;
pub mod metrics;

use clap::{Arg, Command, CommandFactory as _};

use super::CommandLine;

const HEAD: &str = "\
# Command line

<!-- Written by `landfall reference cli`. Do not edit. -->

Client commands speak the public API over HTTPS. Each takes its connection string from `--login`, else
from `LANDFALL_CONNECTION_STRING` (`hub` commands: `LANDFALL_HUB_CONNECTION_STRING`), else from the
file that a running server keeps in its data folder (`dev.json`, `server.json`), which its user alone
can read. Where a key, token or JSON text is asked for, `@FILE` reads it from a file.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | the server refused, or something failed inside |
| 2 | the command line makes no sense |
| 3 | not found |
| 4 | there already, or changed since it was read |
| 5 | the credential was not accepted |
| 6 | cannot connect |
| 125, 126, 127 | `landfall dev -- COMMAND` only: the server did not start, the command cannot be executed, there is no such command; else the command's own, or 128 and the signal that ended it |
";

/// The reference of the command line, as Markdown.
pub fn reference() -> String {
    let mut tree = CommandLine::command();
    tree.build();
    let mut out = HEAD.to_owned();
    let connection = tree
        .find_subcommand("explain")
        .map(|command| command.get_arguments().filter(|arg| is_connection(arg)))
        .into_iter()
        .flatten()
        .collect::<Vec<_>>();
    out.push_str("\n## Options of every client command\n\n");
    options(&mut out, &connection);
    for command in visible(&tree) {
        page(&mut out, command, "landfall");
    }
    out
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command
        .get_subcommands()
        .filter(|sub| !sub.is_hide_set() && sub.get_name() != "help")
}

fn is_connection(arg: &Arg) -> bool {
    arg.get_help_heading() == Some("Connection")
}

fn page(out: &mut String, command: &Command, parent: &str) {
    let name = format!("{parent} {}", command.get_name());
    let about = command
        .get_about()
        .map(ToString::to_string)
        .unwrap_or_default();
    if visible(command).next().is_some() {
        for sub in visible(command) {
            page(out, sub, &name);
        }
        return;
    }
    out.push_str(&format!(
        "\n## `{name}`\n\n{}.\n",
        about.trim_end_matches('.')
    ));
    let own = command
        .get_arguments()
        .filter(|arg| !arg.is_hide_set() && !is_connection(arg))
        .filter(|arg| !matches!(arg.get_id().as_str(), "help" | "version"))
        .collect::<Vec<_>>();
    if !own.is_empty() {
        out.push('\n');
        options(out, &own);
    }
    if let Some(example) = command.get_after_help() {
        let example = example.to_string();
        let lines = example
            .lines()
            .skip_while(|line| !line.starts_with("Example"));
        out.push_str("\n```sh\n");
        for line in lines.skip(1).take_while(|line| !line.is_empty()) {
            out.push_str(line.trim_start());
            out.push('\n');
        }
        out.push_str("```\n");
    }
}

fn options(out: &mut String, arguments: &[&Arg]) {
    out.push_str("| option | meaning |\n|---|---|\n");
    for arg in arguments {
        out.push_str(&format!("| {} | {} |\n", spelling(arg), meaning(arg)));
    }
}

fn spelling(arg: &Arg) -> String {
    let value = arg
        .get_value_names()
        .filter(|_| arg.get_action().takes_values())
        .map(|names| names.join(" "))
        .unwrap_or_default();
    if arg.is_positional() {
        return format!("`{value}`").replace('|', "\\|");
    }
    let mut names = Vec::new();
    names.extend(arg.get_long().map(|long| format!("`--{long}`")));
    names.extend(arg.get_short().map(|short| format!("`-{short}`")));
    let aliases = arg.get_visible_aliases().unwrap_or_default();
    names.extend(aliases.into_iter().map(|alias| format!("`--{alias}`")));
    let mut text = names.join(", ");
    if !value.is_empty() {
        text.push_str(&format!(" {value}"));
    }
    text.replace('|', "\\|")
}

fn meaning(arg: &Arg) -> String {
    let mut text = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let values = arg
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| format!("`{}`", value.get_name()))
        .collect::<Vec<_>>();
    if arg.get_action().takes_values() && values.len() > 1 && values != ["`true`", "`false`"] {
        text.push_str(&format!(" ({})", values.join(", ")));
    }
    let defaults = arg
        .get_default_values()
        .iter()
        .map(|value| format!("`{}`", value.to_string_lossy()))
        .collect::<Vec<_>>();
    if !defaults.is_empty() && arg.get_action().takes_values() {
        text.push_str(&format!("; default {}", defaults.join(" ")));
    }
    if let Some(variable) = arg.get_env() {
        text.push_str(&format!("; environment `{}`", variable.to_string_lossy()));
    }
    text.replace('|', "\\|")
}
