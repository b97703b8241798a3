//! What a code means: the rows of the reference for a number, a hub's error name, a check or a status.
//! Asks no server.

use landfall_core::trace::check::CHECKS;
use landfall_wire::fault::{self, control, hub};
use landfall_wire::status::statuses;
use landfall_wire::table::Told;
use serde_json::{Value as Json, json};

use crate::command::answers::registration_rows;
use crate::command::outcome::{Exit, Failure};
use crate::command::print;

/// One row of the reference.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Answer {
    /// Where it is answered: faces, `registration state`, `decision trace`.
    from: String,
    /// Number, name or word, and the HTTP status where there is one.
    title: String,
    meaning: String,
    cause: String,
    remedy: String,
}

impl Answer {
    fn new(from: impl Into<String>, title: String, told: Told) -> Self {
        Answer {
            from: from.into(),
            title,
            meaning: told.meaning.to_owned(),
            cause: told.cause.to_owned(),
            remedy: told.remedy.to_owned(),
        }
    }

    fn to_json(&self) -> Json {
        json!({
            "title": self.title,
            "answeredBy": self.from,
            "meaning": self.meaning,
            "cause": self.cause,
            "remedy": self.remedy,
        })
    }

    fn for_people(&self) -> String {
        let rows = [
            ("Answered by", &self.from),
            ("Meaning", &self.meaning),
            ("Cause", &self.cause),
            ("Remedy", &self.remedy),
        ];
        let rows = rows.map(|(name, text)| (name.to_owned(), without_links(text)));
        format!("{}\n{}", self.title, print::pairs(rows))
    }
}

/// Prints the rows for `code`.
///
/// # Errors
/// When the reference has none.
pub fn explain(code: &str, as_json: bool) -> Result<(), Failure> {
    let answers = find(code);
    if answers.is_empty() {
        return Err(Failure::new(
            Exit::NotFound,
            format!("no answer of this build has the code '{code}'"),
            "give a number such as 401002, a check such as sas.expired, a status such as failed, or a hub's error name; all of them: docs/reference/errors.md, checks.md, statuses.md",
        ));
    }
    let value = json!({ "value": answers.iter().map(Answer::to_json).collect::<Vec<_>>() });
    print::result(as_json, &value, |_| {
        let texts: Vec<String> = answers.iter().map(Answer::for_people).collect();
        texts.join("\n")
    });
    Ok(())
}

fn find(code: &str) -> Vec<Answer> {
    let code = code.trim();
    let mut found = of_errors(code);
    found.extend(of_registrations(code));
    found.extend(of_hubs(code));
    found.extend(of_traces(code));
    found
}

fn is_number(code: &str, number: u32) -> bool {
    code.parse() == Ok(number)
}

/// The device API, the service API, our own routes and the control plane.
fn of_errors(code: &str) -> Vec<Answer> {
    let own = |number| {
        let mut rows = control::ROWS.iter();
        rows.find(|row| row.like == number)?.own
    };
    let mut found = Vec::new();
    for row in fault::ROWS {
        let title = format!("{code} ({})", row.status);
        if is_number(code, row.number) {
            let faces: Vec<&str> = row.faces.iter().map(|face| face.name()).collect();
            let from = format!("{} API", faces.join(", "));
            found.push(Answer::new(from, title, row.told));
        } else if own(row.number).is_some_and(|number| is_number(code, number)) {
            found.push(Answer::new("control plane", title, row.told));
        }
    }
    found
}

/// Numbers and statuses of registration states.
fn of_registrations(code: &str) -> Vec<Answer> {
    let numbers = registration_rows()
        .filter(|(row, _)| is_number(code, row.number))
        .map(|(row, status)| {
            let title = format!("{} (status {status})", row.number);
            Answer::new("registration state", title, row.told)
        });
    let words = statuses()
        .filter(|status| status.word.eq_ignore_ascii_case(code))
        .map(|status| Answer {
            from: "registration state".to_owned(),
            title: format!("status {}", status.word),
            meaning: status.meaning.to_owned(),
            cause: status.here.to_owned(),
            remedy: format!("Device: {} Operator: {}", status.device, status.operator),
        });
    numbers.chain(words).collect()
}

/// Numbers and names of the hub.
fn of_hubs(code: &str) -> Vec<Answer> {
    hub::ROWS
        .iter()
        .filter(|row| is_number(code, row.number) || row.name.eq_ignore_ascii_case(code))
        .map(|row| {
            let title = format!("{} {} ({})", row.number, row.name, row.status);
            Answer::new("hub API", title, row.told)
        })
        .collect()
}

/// Checks that decision traces name.
fn of_traces(code: &str) -> Vec<Answer> {
    CHECKS
        .iter()
        .filter(|check| check.name.eq_ignore_ascii_case(code))
        .map(|check| {
            let told = Told {
                meaning: "The check that stopped an attempt.",
                cause: check.cause,
                remedy: check.fix,
            };
            Answer::new("decision trace", check.name.to_owned(), told)
        })
        .collect()
}

/// `[text](page)` as `text`: a terminal has no pages.
fn without_links(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once('[') {
        let Some((words, (_, after))) = link
            .split_once("](")
            .and_then(|(words, target)| Some((words, target.split_once(')')?)))
        else {
            break;
        };
        out.push_str(before);
        out.push_str(words);
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_leads_to_its_row_on_every_face_that_answers_it() {
        let from = |code: &str| -> Vec<String> {
            find(code).into_iter().map(|answer| answer.from).collect()
        };
        assert_eq!(from("401002"), ["device, service, own API", "hub API"]);
        assert_eq!(from("400309"), ["control plane"]);
        assert_eq!(from("403201"), ["registration state"]);
        assert_eq!(from("devicenotfound"), ["hub API"]);
        assert_eq!(from("sas.expired"), ["decision trace"]);
        assert_eq!(from("disabled"), ["registration state"]);
        assert!(from("999999").is_empty());
    }

    #[test]
    fn links_of_the_pages_are_words_in_a_terminal() {
        assert_eq!(
            without_links("see [checks](checks.md) and [a page](../x.md#y)."),
            "see checks and a page."
        );
        assert_eq!(
            without_links("a [list] of (things)"),
            "a [list] of (things)"
        );
    }
}
