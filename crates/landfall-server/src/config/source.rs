//! Where the values of fields come from: flags, environment, file, default; and how their texts are
//! read. Every error names the field and the place that gave it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use toml::{Table, Value};

use super::field::{FIELDS, Field, Kind, SERVICE_MEMBERS, named};
use super::{CertificateFiles, ConfigError, FirstService};

/// A value as texts, and who gave it.
struct Given {
    texts: Vec<String>,
    place: String,
}

/// The values of all fields, each from the strongest place that has it.
pub struct Sources {
    fields: BTreeMap<&'static str, Given>,
    services: Vec<FirstService>,
}

impl Sources {
    /// Gathers the values. `flags` win over `environment`, that over the `file`'s text.
    pub fn new(
        flags: &[(&'static str, Vec<String>)],
        environment: &dyn Fn(&str) -> Option<String>,
        file: Option<&str>,
    ) -> Result<Self, ConfigError> {
        let mut table = parse(file.unwrap_or_default())?;
        let services = services(&mut table)?;
        let in_file = flatten(table)?;
        let mut fields = BTreeMap::new();
        for field in &FIELDS {
            let from_flag = flags.iter().find(|(name, _)| *name == field.name);
            let variable = field.variable();
            let given = if let Some((_, texts)) = from_flag {
                Given {
                    texts: texts.clone(),
                    place: format!("{} (flag)", field.name),
                }
            } else if let Some(text) = environment(&variable).filter(|text| !text.is_empty()) {
                Given {
                    texts: split(field, &text),
                    place: format!("{} (environment {variable})", field.name),
                }
            } else if let Some(texts) = in_file.get(field.name) {
                Given {
                    texts: texts.clone(),
                    place: format!("{} (file)", field.name),
                }
            } else {
                Given {
                    texts: split(field, field.default),
                    place: field.name.to_owned(),
                }
            };
            fields.insert(field.name, given);
        }
        Ok(Sources { fields, services })
    }

    /// An error about a field.
    pub fn error(&self, name: &str, what: &str, fix: &str) -> ConfigError {
        ConfigError {
            place: self
                .fields
                .get(name)
                .map_or(name, |given| &given.place)
                .to_owned(),
            what: what.to_owned(),
            fix: fix.to_owned(),
        }
    }

    /// A text or path.
    pub fn text(&self, name: &str) -> Result<String, ConfigError> {
        match self.texts(name) {
            [text] if !text.is_empty() => Ok(text.clone()),
            [_] | [] => Err(self.error(name, "is empty", "give a value, or leave the field out")),
            _ => Err(self.error(name, "is a list", "give one value")),
        }
    }

    /// A text that may be left out.
    pub fn optional_text(&self, name: &str) -> Result<Option<String>, ConfigError> {
        match self.texts(name) {
            [] => Ok(None),
            [text] if text.is_empty() => Ok(None),
            _ => self.text(name).map(Some),
        }
    }

    /// Whether a flag gave the value, where every user of the machine can read it.
    pub fn by_flag(&self, name: &str) -> bool {
        let given = self.fields.get(name);
        given.is_some_and(|given| given.place.ends_with("(flag)"))
    }

    /// A path that may be left out.
    pub fn optional_path(&self, name: &str) -> Result<Option<PathBuf>, ConfigError> {
        Ok(self.optional_text(name)?.map(PathBuf::from))
    }

    /// A number within its bounds.
    pub fn number(&self, name: &str) -> Result<u64, ConfigError> {
        let text = self.text(name)?;
        let Some(Field {
            kind: Kind::Number(least, most),
            meaning,
            ..
        }) = named(name)
        else {
            return Err(self.error(name, "is no number", "give a whole number"));
        };
        text.parse()
            .ok()
            .filter(|number| (least..=most).contains(&number))
            .ok_or_else(|| {
                self.error(
                    name,
                    &format!("'{text}' is not a whole number from {least} to {most}"),
                    &format!("choose one; it is: {meaning}"),
                )
            })
    }

    /// A number that counts things in memory.
    pub fn size(&self, name: &str) -> Result<usize, ConfigError> {
        let number = self.number(name)?;
        usize::try_from(number).map_err(|_| self.error(name, "is too large here", "lower it"))
    }

    /// One of the words that the field allows.
    pub fn choice(&self, name: &str) -> Result<String, ConfigError> {
        let text = self.text(name)?.to_ascii_lowercase();
        match named(name) {
            Some(Field {
                kind: Kind::Choice(words),
                ..
            }) if !words.contains(&text.as_str()) => Err(self.error(
                name,
                &format!("'{text}' is not known"),
                &format!("write {}", words.join(" or ")),
            )),
            _ => Ok(text),
        }
    }

    /// One address with its port.
    pub fn address(&self, name: &str) -> Result<SocketAddr, ConfigError> {
        self.parse_address(name, &self.text(name)?)
    }

    /// A list of addresses.
    pub fn addresses(&self, name: &str) -> Result<Vec<SocketAddr>, ConfigError> {
        let texts = self.texts(name).iter();
        texts.map(|text| self.parse_address(name, text)).collect()
    }

    fn parse_address(&self, name: &str, text: &str) -> Result<SocketAddr, ConfigError> {
        text.trim().parse().map_err(|_| {
            self.error(
                name,
                &format!("'{text}' is not an address with a port"),
                "write it as 0.0.0.0:443 or [::]:443",
            )
        })
    }

    /// A list of certificate files.
    pub fn certificates(&self, name: &str) -> Result<Vec<CertificateFiles>, ConfigError> {
        let pair = |text: &String| match text.split_once(':') {
            Some((chain, key)) if !chain.is_empty() && !key.is_empty() => Ok(CertificateFiles {
                chain: chain.into(),
                key: key.into(),
            }),
            _ => Err(self.error(
                name,
                &format!("'{text}' does not name a chain and a key"),
                "name both PEM files, as CHAIN:KEY",
            )),
        };
        self.texts(name).iter().map(pair).collect()
    }

    /// The services to make first.
    pub fn services(&self) -> Result<Vec<FirstService>, ConfigError> {
        Ok(self.services.clone())
    }

    fn texts(&self, name: &str) -> &[String] {
        self.fields
            .get(name)
            .map(|given| given.texts.as_slice())
            .unwrap_or_default()
    }
}

fn split(field: &Field, text: &str) -> Vec<String> {
    match field.kind {
        Kind::Addresses | Kind::Certificates => text
            .split(',')
            .map(|part| part.trim().to_owned())
            .filter(|part| !part.is_empty())
            .collect(),
        _ => vec![text.to_owned()],
    }
}

fn parse(text: &str) -> Result<Table, ConfigError> {
    text.parse::<Table>().map_err(|e| ConfigError {
        place: "the configuration file".into(),
        what: format!("is not TOML: {}", e.to_string().trim_end()),
        fix: "correct the line that is pointed at".into(),
    })
}

/// Takes the `services` tables out of the file.
fn services(table: &mut Table) -> Result<Vec<FirstService>, ConfigError> {
    let wrong = |place: String, what: String, fix: &str| ConfigError {
        place,
        what,
        fix: fix.to_owned(),
    };
    let Some(value) = table.remove("services") else {
        return Ok(Vec::new());
    };
    let Value::Array(list) = value else {
        let what = "is not a list of tables".to_owned();
        return Err(wrong(
            "services".into(),
            what,
            "write [[services]] above each service",
        ));
    };
    let mut out = Vec::new();
    for (at, value) in list.into_iter().enumerate() {
        let place = |member: &str| format!("services[{at}].{member}");
        let Value::Table(mut members) = value else {
            return Err(wrong(
                format!("services[{at}]"),
                "is not a table".into(),
                "write [[services]] above each service",
            ));
        };
        let mut texts = BTreeMap::new();
        for (member, _) in SERVICE_MEMBERS {
            match members.remove(member) {
                Some(Value::String(text)) => {
                    texts.insert(member, text);
                }
                Some(_) => {
                    return Err(wrong(
                        place(member),
                        "is not a text".into(),
                        "put it in quotes",
                    ));
                }
                None => {}
            }
        }
        if let Some(unknown) = members.keys().next() {
            let known = SERVICE_MEMBERS.map(|(member, _)| member);
            return Err(unknown_field(&place(unknown), unknown, &known));
        }
        let mut take = |member: &str| {
            texts.remove(member).ok_or_else(|| {
                wrong(
                    place(member),
                    "is missing".into(),
                    "give it, or remove the service",
                )
            })
        };
        let host_name = take("host_name")?;
        out.push(FirstService {
            name: take("name")?,
            hub_host_name: take("hub_host_name")?,
            host_name,
        });
    }
    Ok(out)
}

/// The fields of the file by their dotted names, as texts.
fn flatten(table: Table) -> Result<BTreeMap<String, Vec<String>>, ConfigError> {
    let mut out = BTreeMap::new();
    for (name, value) in table {
        match value {
            Value::Table(inner) if named(&name).is_none() => {
                for (member, value) in inner {
                    leaf(&mut out, format!("{name}.{member}"), value)?;
                }
            }
            value => leaf(&mut out, name, value)?,
        }
    }
    Ok(out)
}

fn leaf(
    out: &mut BTreeMap<String, Vec<String>>,
    name: String,
    value: Value,
) -> Result<(), ConfigError> {
    if named(&name).is_none() {
        let known = FIELDS.map(|field| field.name);
        return Err(unknown_field(&name, &name, &known));
    }
    let texts = match value {
        Value::Array(list) => list.iter().map(scalar).collect::<Option<Vec<_>>>(),
        other => scalar(&other).map(|text| vec![text]),
    };
    let Some(texts) = texts else {
        return Err(ConfigError {
            place: format!("{name} (file)"),
            what: "is of another type".into(),
            fix: "see its type in docs/reference/configuration.md".into(),
        });
    };
    out.insert(name, texts);
    Ok(())
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Table(members) if members.len() == 2 => {
            let chain = members.get("chain")?.as_str()?;
            let key = members.get("key")?.as_str()?;
            Some(format!("{chain}:{key}"))
        }
        _ => None,
    }
}

fn unknown_field(place: &str, name: &str, known: &[&str]) -> ConfigError {
    let nearest = known
        .iter()
        .min_by_key(|known| distance(name, known))
        .copied()
        .unwrap_or_default();
    ConfigError {
        place: place.to_owned(),
        what: "is no field of the configuration".into(),
        fix: format!("did you mean '{nearest}'? Otherwise remove it"),
    }
}

/// How many letters must change to turn one name into the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for (to, (above, beside)) in b.iter().zip(row.iter().zip(row.iter().skip(1))) {
            let changed = above + usize::from(from != *to);
            let left = next.last().copied().unwrap_or(i);
            next.push(changed.min(beside + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}
