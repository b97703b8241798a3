//! Rules about documents: links that lead somewhere, sources that are there, doubts that are told,
//! and no word that means something on one machine only.

use std::collections::BTreeSet;

use super::Finding;
use super::rust_text::RustText;
use super::tree::{File, Tree};

const DENIED: &str = "xtask/denied.txt";
const DIVERGENCES: &str = "docs/divergences.md";

/// Checks every document, and what code says about documents.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files() {
        if file.is("md") {
            links(tree, file, &mut findings);
            named_files(tree, file, &mut findings);
        }
        if file.is("rs") {
            sources(tree, file, &mut findings);
        }
    }
    findings.extend(denied(tree));
    findings
}

/// Relative links lead to a file, and to a heading of it when they name one.
fn links(tree: &Tree, file: &File, findings: &mut Vec<Finding>) {
    for (line, text) in prose(&file.text) {
        for target in without_code(text).split("](").skip(1) {
            let target = target.split([')', ' ']).next().unwrap_or_default();
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (path, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = match path {
                "" => file.path.clone(),
                path => beside(&file.path, path),
            };
            if !tree.holds(&path) {
                findings.push(Finding::new(
                    &file.path,
                    line,
                    format!("the link `{target}` leads nowhere"),
                    "correct it or write the page",
                ));
            } else if !heading.is_empty()
                && let Some(page) = tree.file(&path)
                && !headings(&page.text).any(|(_, text)| anchor(text) == heading)
            {
                findings.push(Finding::new(
                    &file.path,
                    line,
                    format!("`{path}` has no heading for `#{heading}`"),
                    "correct the link",
                ));
            }
        }
    }
}

/// Source files that documents name in code marks are there. A path may leave `crates/` out.
fn named_files(tree: &Tree, file: &File, findings: &mut Vec<Finding>) {
    for (line, text) in prose(&file.text) {
        for name in text.split('`').skip(1).step_by(2) {
            let ours = name.starts_with("landfall-") || name.starts_with("xtask/");
            let plain = name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
            if !ours || !plain || !name.contains('/') {
                continue;
            }
            if !tree.holds(name) && !tree.holds(&format!("crates/{name}")) {
                findings.push(Finding::new(
                    &file.path,
                    line,
                    format!("`{name}` is not there"),
                    "name the file as it is called now",
                ));
            }
        }
    }
}

/// `Source:` notes in code name a section that is there; a fact marked inferred is told as a doubt.
fn sources(tree: &Tree, file: &File, findings: &mut Vec<Finding>) {
    let divergences = tree.file(DIVERGENCES).map_or("", |file| file.text.as_str());
    for (line, comment) in RustText::read(&file.text).comments {
        for rest in comment.split("docs/protocol/").skip(1) {
            let Some((name, after)) = rest.split_once(".md") else {
                continue;
            };
            // A second page in the same note, named without its folder, has its own numbers.
            let after = after.split(".md").next().unwrap_or_default();
            let path = format!("docs/protocol/{name}.md");
            let Some(page) = tree.file(&path) else {
                findings.push(Finding::new(
                    &file.path,
                    line,
                    format!("`{path}` is not there"),
                    "name a page of docs/protocol",
                ));
                continue;
            };
            let known: BTreeSet<&str> = headings(&page.text)
                .filter_map(|(_, text)| section_number(text))
                .collect();
            for section in section_marks(after) {
                if !known.contains(section) {
                    findings.push(Finding::new(
                        &file.path,
                        line,
                        format!("`{path}` has no section {section}"),
                        "name the section that holds the fact, or carry it over",
                    ));
                } else if inferred(after) && !tells(divergences, name, section) {
                    findings.push(Finding::new(
                        &file.path,
                        line,
                        format!("an inferred fact of `{name}.md §{section}` is not told"),
                        format!("add it to {DIVERGENCES} as a doubt, with its reason"),
                    ));
                }
            }
        }
    }
}

/// Words that mean something on one machine only stand in no file.
fn denied(tree: &Tree) -> Vec<Finding> {
    let Some(list) = tree.file(DENIED) else {
        return vec![Finding::new(
            DENIED,
            1,
            "the list of denied words is not there",
            "write one word a line; `#` begins a comment",
        )];
    };
    let words: Vec<&str> = list
        .text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    let mut findings = Vec::new();
    for file in tree.files().iter().filter(|file| file.path != DENIED) {
        for (index, line) in file.text.lines().enumerate() {
            if let Some(word) = words.iter().find(|word| stands_alone(line, word)) {
                findings.push(Finding::new(
                    &file.path,
                    index + 1,
                    format!("`{word}` means something on one machine only"),
                    "say it so that a stranger can use it",
                ));
            }
        }
    }
    findings
}

/// True when `word` stands in `line` and is not the tail of a longer name or path.
fn stands_alone(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        !line[..at]
            .chars()
            .last()
            .is_some_and(|c| c.is_alphanumeric() || "-_./~}>*".contains(c))
    })
}

/// The lines outside fenced blocks, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            return None;
        }
        (!fenced).then_some((index + 1, line))
    })
}

/// The line with what stands between code marks left out.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

fn headings(text: &str) -> impl Iterator<Item = (usize, &str)> {
    prose(text).filter_map(|(line, text)| {
        let title = text.trim_start_matches('#');
        (title.len() < text.len() && title.starts_with(' ')).then(|| (line, title.trim()))
    })
}

/// How a heading is linked to: lower case, blanks as hyphens, marks left out.
fn anchor(heading: &str) -> String {
    heading
        .to_lowercase()
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
            _ => None,
        })
        .collect()
}

/// `1.5` of the heading `1.5 Success responses`.
fn section_number(heading: &str) -> Option<&str> {
    let number = heading.split(' ').next()?.trim_end_matches('.');
    let digits = number.chars().all(|c| c.is_ascii_digit() || c == '.');
    (digits && !number.is_empty()).then_some(number)
}

/// The `§` numbers of a note, up to the next page it names.
fn section_marks(after: &str) -> impl Iterator<Item = &str> {
    after.split('§').skip(1).filter_map(|rest| {
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let number = rest[..end].trim_end_matches('.');
        (!number.is_empty()).then_some(number)
    })
}

/// True for a note whose mark names an inference: `[I]`, `[D/I]`.
fn inferred(after: &str) -> bool {
    after.split('[').skip(1).any(|rest| {
        rest.split_once(']')
            .is_some_and(|(marks, _)| marks.split(['/', ',', ' ']).any(|mark| mark == "I"))
    })
}

/// True when the page of divergences names this section, or a part of it.
fn tells(divergences: &str, page: &str, section: &str) -> bool {
    divergences
        .split(&format!("{page}.md "))
        .skip(1)
        .map(|after| after.split([')', '|', '\n']).next().unwrap_or_default())
        .map(|after| after.split(".md").next().unwrap_or_default())
        .flat_map(section_marks)
        .any(|told| {
            told.strip_prefix(section)
                .is_some_and(|part| part.is_empty() || part.starts_with('.'))
        })
}

/// The path of `link`, seen from the file `from`.
fn beside(from: &str, link: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "." | "" => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests;
