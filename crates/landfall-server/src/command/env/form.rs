//! How variables are written down: for a shell, as a .env file, as JSON. A value is read back as it
//! was, or not written at all.

use serde_json::{Map, Value as Json};

use super::Variables;
use crate::command::outcome::Failure;

/// A way to write variables down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `export NAME='value'`, for `eval`.
    Shell,
    /// `NAME='value'`, as python-dotenv and `node --env-file` read it.
    Dotenv,
    /// An object.
    Json,
}

impl Form {
    /// Writes the variables.
    ///
    /// # Errors
    /// [`Failure`] for a value that readers of this form would read in different ways.
    pub fn write(self, variables: &Variables) -> Result<String, Failure> {
        match self {
            Form::Shell => Ok(lines(variables, |name, value| {
                format!("export {name}={}", quoted_for_shell(value))
            })),
            Form::Dotenv => {
                for (name, value) in variables {
                    check_for_dotenv(name, value)?;
                }
                Ok(lines(variables, |name, value| {
                    let quote = if value.contains('\'') { '"' } else { '\'' };
                    format!("{name}={quote}{value}{quote}")
                }))
            }
            Form::Json => {
                let members = variables
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), Json::from(value.as_str())));
                Ok(format!("{:#}", Json::Object(Map::from_iter(members))))
            }
        }
    }
}

fn lines(variables: &Variables, line: impl Fn(&str, &str) -> String) -> String {
    let lines: Vec<_> = variables
        .iter()
        .map(|(name, value)| line(name, value))
        .collect();
    lines.join("\n")
}

/// Inside single quotes a shell reads everything as it stands, but for the quote itself.
fn quoted_for_shell(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// python-dotenv puts `${…}` in place even between single quotes and reads escapes there, which node
/// does not; between double quotes both read escapes, and not the same ones.
fn check_for_dotenv(name: &str, value: &str) -> Result<(), Failure> {
    let torn = value.contains(['\\', '\n', '\r', '`']) || value.contains("${");
    let both_quotes = value.contains('\'') && value.contains('"');
    if !torn && !both_quotes {
        return Ok(());
    }
    Err(Failure::usage(
        format!("the value of {name} cannot stand in a .env file that every reader reads alike"),
        "take --shell or --json, or give the data folder a path without \\, quotes, ` and ${",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(value: &str) -> Variables {
        vec![("NAME", value.to_owned())]
    }

    #[test]
    fn a_shell_reads_back_what_was_written() {
        for value in ["plain", "a b;c=d", "it's", "$HOME `id` \"x\" \\", "", "'"] {
            let script = format!(
                "{}\nprintf %s \"$NAME\"",
                Form::Shell.write(&one(value)).expect("written")
            );
            let shell = std::process::Command::new("sh")
                .args(["-c", &script])
                .output();
            let read = String::from_utf8(shell.expect("a shell").stdout).expect("text");
            assert_eq!(read, value);
        }
    }

    #[test]
    fn what_dotenv_readers_read_differently_is_refused() {
        let written = |value: &str| Form::Dotenv.write(&one(value)).ok();
        assert_eq!(
            written("HostName=a;Key=b+/="),
            Some("NAME='HostName=a;Key=b+/='".into())
        );
        assert_eq!(written("it's"), Some("NAME=\"it's\"".into()));
        for value in ["a\\b", "it's \"so\"", "a\nb", "${HOME}", "a`b"] {
            assert_eq!(written(value), None, "{value}");
        }
    }

    #[test]
    fn json_is_an_object_in_the_same_order() {
        let variables = vec![("B", "1".to_owned()), ("A", "\"2\"".to_owned())];
        let text = Form::Json.write(&variables).expect("written");
        assert_eq!(text, "{\n  \"B\": \"1\",\n  \"A\": \"\\\"2\\\"\"\n}");
    }
}
