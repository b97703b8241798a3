//! Individual enrollments as rows of a table with named columns: what a spreadsheet exports. How a row is
//! quoted is the reader's business; what its cells mean is here. Called by the command line.

use serde_json::{Map, Value as Json, json};

/// The columns that a table may have, as messages list them.
const KNOWN: &str = "registrationId, deviceId, attestationType, primaryKey, secondaryKey, endorsementKey, \
     storageRootKey, certificate, secondaryCertificate, caReference, secondaryCaReference, provisioningStatus, \
     iotEdge, allocationPolicy, iotHubs, updateHubAssignment, migrateDeviceData, webhookUrl, apiVersion, tags.…, \
     desired.… and deviceInformation.…";

/// What a cell of a column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Truth,
    /// Texts, parted by semicolons.
    List,
}

/// A plain column: its name, where its cell stands in a record, and what it is.
type Plain = (&'static str, &'static [&'static str], Form);

const PLAIN: [Plain; 19] = [
    ("registrationId", &["registrationId"], Form::Text),
    ("deviceId", &["deviceId"], Form::Text),
    ("attestationType", &["attestation", "type"], Form::Text),
    (
        "primaryKey",
        &["attestation", "symmetricKey", "primaryKey"],
        Form::Text,
    ),
    (
        "secondaryKey",
        &["attestation", "symmetricKey", "secondaryKey"],
        Form::Text,
    ),
    (
        "endorsementKey",
        &["attestation", "tpm", "endorsementKey"],
        Form::Text,
    ),
    (
        "storageRootKey",
        &["attestation", "tpm", "storageRootKey"],
        Form::Text,
    ),
    (
        "certificate",
        &[
            "attestation",
            "x509",
            "clientCertificates",
            "primary",
            "certificate",
        ],
        Form::Text,
    ),
    (
        "secondaryCertificate",
        &[
            "attestation",
            "x509",
            "clientCertificates",
            "secondary",
            "certificate",
        ],
        Form::Text,
    ),
    (
        "caReference",
        &["attestation", "x509", "caReferences", "primary"],
        Form::Text,
    ),
    (
        "secondaryCaReference",
        &["attestation", "x509", "caReferences", "secondary"],
        Form::Text,
    ),
    ("provisioningStatus", &["provisioningStatus"], Form::Text),
    ("iotEdge", &["capabilities", "iotEdge"], Form::Truth),
    ("allocationPolicy", &["allocationPolicy"], Form::Text),
    ("iotHubs", &["iotHubs"], Form::List),
    (
        "updateHubAssignment",
        &["reprovisionPolicy", "updateHubAssignment"],
        Form::Truth,
    ),
    (
        "migrateDeviceData",
        &["reprovisionPolicy", "migrateDeviceData"],
        Form::Truth,
    ),
    (
        "webhookUrl",
        &["customAllocationDefinition", "webhookUrl"],
        Form::Text,
    ),
    (
        "apiVersion",
        &["customAllocationDefinition", "apiVersion"],
        Form::Text,
    ),
];

/// The beginnings of columns that name a place in a document, and where the document stands.
const DOCUMENTS: [(&str, &[&str]); 3] = [
    ("tags.", &["initialTwin", "tags"]),
    ("desired.", &["initialTwin", "properties", "desired"]),
    ("deviceInformation.", &["optionalDeviceInformation"]),
];

/// The columns of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns(Vec<Column>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Column {
    name: String,
    way: Vec<String>,
    /// What its cells are; none in a document, where they are JSON or text.
    form: Option<Form>,
}

impl Columns {
    /// Reads the header row. Names are compared without case; those of documents keep theirs.
    ///
    /// # Errors
    /// Which column is not known, is there twice or is missing.
    pub fn parse<'a>(header: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let mut columns: Vec<Column> = Vec::new();
        for name in header.map(str::trim) {
            let column = Column::parse(name)
                .ok_or_else(|| format!("it has a column '{}'; known are {KNOWN}", shown(name)))?;
            if columns.iter().any(|known| known.way == column.way) {
                return Err(format!("it has the column '{}' twice", shown(name)));
            }
            columns.push(column);
        }
        if columns.iter().all(|column| column.name != "registrationId") {
            return Err("its first row has no column registrationId".to_owned());
        }
        Ok(Columns(columns))
    }

    /// A row as the record that it means. Empty cells say nothing.
    ///
    /// # Errors
    /// Which cell is no cell of its column. The cell is not repeated: it may be a key.
    pub fn record<'a>(
        &self,
        cells: impl Iterator<Item = &'a str>,
    ) -> Result<Map<String, Json>, String> {
        let mut record = Map::new();
        for (column, cell) in self.0.iter().zip(cells) {
            let cell = cell.trim();
            if !cell.is_empty() {
                put(&mut record, &column.way, column.value(cell)?)
                    .map_err(|()| format!("column '{}' stands inside another one", column.name))?;
            }
        }
        complete(&mut record);
        Ok(record)
    }
}

impl Column {
    fn parse(name: &str) -> Option<Self> {
        let plain = PLAIN
            .iter()
            .find(|(known, ..)| known.eq_ignore_ascii_case(name));
        if let Some((name, way, form)) = plain {
            return Some(Column {
                name: (*name).to_owned(),
                way: way.iter().map(|step| (*step).to_owned()).collect(),
                form: Some(*form),
            });
        }
        let (beginning, way) = DOCUMENTS.iter().find(|(beginning, _)| {
            let own = name.get(..beginning.len());
            own.is_some_and(|own| own.eq_ignore_ascii_case(beginning))
        })?;
        let steps: Vec<&str> = name.get(beginning.len()..)?.split('.').collect();
        (steps.iter().all(|step| !step.is_empty()) && steps.len() < 16).then(|| Column {
            name: name.to_owned(),
            way: way
                .iter()
                .chain(&steps)
                .map(|step| (*step).to_owned())
                .collect(),
            form: None,
        })
    }

    fn value(&self, cell: &str) -> Result<Json, String> {
        match self.form {
            Some(Form::Text) => Ok(cell.into()),
            Some(Form::List) => Ok(cell
                .split(';')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(Json::from)
                .collect()),
            Some(Form::Truth) => match cell.to_ascii_lowercase().as_str() {
                "true" | "yes" | "1" => Ok(true.into()),
                "false" | "no" | "0" => Ok(false.into()),
                _ => Err(format!("its {} is neither true nor false", self.name)),
            },
            // What is no JSON is a text; so is a number that would not be written back as it came,
            // such as 007.
            None => Ok(match serde_json::from_str::<Json>(cell) {
                Ok(Json::Number(number)) if number.to_string() != cell => cell.into(),
                Ok(value) => value,
                Err(_) => cell.into(),
            }),
        }
    }
}

/// Puts a value where `way` leads, and makes the objects on the way.
fn put(object: &mut Map<String, Json>, way: &[String], value: Json) -> Result<(), ()> {
    match way {
        [] => Err(()),
        [last] if object.contains_key(last) => Err(()),
        [last] => {
            object.insert(last.clone(), value);
            Ok(())
        }
        [first, rest @ ..] => {
            let inner = object.entry(first.clone()).or_insert_with(|| json!({}));
            put(inner.as_object_mut().ok_or(())?, rest, value)
        }
    }
}

/// Says what rows leave unsaid: the type of the attestation, and the other half of a reprovision policy.
fn complete(record: &mut Map<String, Json>) {
    let attestation = record.entry("attestation").or_insert_with(|| json!({}));
    if let Some(attestation) = attestation.as_object_mut()
        && !attestation.contains_key("type")
    {
        let has = |form: &str| attestation.contains_key(form);
        let kind = match () {
            () if has("x509") => "x509",
            () if has("tpm") => "tpm",
            () => "symmetricKey",
        };
        attestation.insert("type".to_owned(), kind.into());
    }
    if let Some(policy) = record
        .get_mut("reprovisionPolicy")
        .and_then(Json::as_object_mut)
    {
        for member in ["updateHubAssignment", "migrateDeviceData"] {
            policy.entry(member).or_insert(true.into());
        }
    }
}

/// The beginning of a column's name, without what would move a cursor.
fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(header: &str, row: &str) -> Result<Json, String> {
        let columns = Columns::parse(header.split(','))?;
        columns.record(row.split(',')).map(Json::Object)
    }

    #[test]
    fn a_row_says_what_its_cells_say() {
        let header = "RegistrationID,primaryKey,secondaryKey,iotEdge,iotHubs,tags.site.floor,tags.code,\
             tags.open,desired.rate,deviceInformation.Note,updateHubAssignment,deviceId";
        let row = "dev-1, AAA= ,BBB=,Yes,a.example; b.example,3,007,true,1.5,\"x\",no,";
        assert_eq!(
            read(header, row),
            Ok(json!({
                "registrationId": "dev-1",
                "attestation": {
                    "symmetricKey": {"primaryKey": "AAA=", "secondaryKey": "BBB="}, "type": "symmetricKey",
                },
                "capabilities": {"iotEdge": true},
                "iotHubs": ["a.example", "b.example"],
                "initialTwin": {
                    "tags": {"site": {"floor": 3}, "code": "007", "open": true},
                    "properties": {"desired": {"rate": 1.5}},
                },
                "optionalDeviceInformation": {"Note": "x"},
                "reprovisionPolicy": {"updateHubAssignment": false, "migrateDeviceData": true},
            }))
        );
    }

    #[test]
    fn the_type_of_the_attestation_is_told_by_what_is_given() {
        for (header, kind) in [
            ("endorsementKey", "tpm"),
            ("certificate", "x509"),
            ("caReference", "x509"),
            ("primaryKey", "symmetricKey"),
        ] {
            let record = read(&format!("registrationId,{header}"), "d,x").expect(header);
            assert_eq!(record["attestation"]["type"], kind);
        }
        let record = read("registrationId,attestationType", "d,tpm").expect("a row");
        assert_eq!(record["attestation"]["type"], "tpm");
    }

    #[test]
    fn what_no_table_may_have_is_named_and_no_cell_repeated() {
        for (header, row, word) in [
            ("deviceId", "d", "registrationId"),
            ("registrationId,colour", "d,red", "'colour'"),
            ("registrationId,tags.", "d,x", "'tags.'"),
            ("registrationId,tags.a,TAGS.a", "d,x,y", "twice"),
            ("registrationId,tags.a,tags.a.b", "d,hush,y", "inside"),
            ("registrationId,tags.a.b,tags.a", "d,hush,y", "inside"),
            ("registrationId,iotEdge", "d,hush", "iotEdge"),
        ] {
            let reason = read(header, row).expect_err(header);
            assert!(
                reason.contains(word) && !reason.contains("hush"),
                "{reason}"
            );
        }
    }
}
