//! A fleet to import: a file of individual enrollments, one JSON object a line, as an export writes
//! them and in its order. Each has two keys, three tags and a desired configuration, some 1.5 KB in all.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::Context as _;
use landfall_core::secret::{KeyPair, SymmetricKey};
use landfall_server::time::SystemEntropy;

/// Sites that the devices stand at.
const SITES: usize = 240;
/// Channels of each device's desired configuration.
const CHANNELS: usize = 17;

/// The registration id of a device.
pub fn id(number: usize) -> String {
    format!("sensor-{number:08}")
}

/// A query for the enrollments of one site.
pub fn query(number: usize) -> String {
    let site = number * 7 % SITES;
    format!("SELECT * FROM enrollments WHERE initialTwin.tags.site = 'plant-{site:03}'")
}

/// Writes a file of `count` enrollments; gives its size in bytes.
///
/// # Errors
/// When it cannot be written.
pub fn write(file: &Path, count: usize) -> anyhow::Result<u64> {
    let begun = || format!("cannot write {}", file.display());
    let mut out = BufWriter::with_capacity(1 << 20, File::create(file).with_context(begun)?);
    for number in 0..count {
        out.write_all(line(number)?.as_bytes())
            .with_context(begun)?;
    }
    out.into_inner()?.sync_all()?;
    Ok(std::fs::metadata(file)?.len())
}

fn line(number: usize) -> anyhow::Result<String> {
    let keys = KeyPair::draw(&SystemEntropy, 64);
    let text = |key: &SymmetricKey| key.to_base64().to_string();
    let (id, primary, secondary) = (id(number), text(&keys.primary), text(&keys.secondary));
    let (site, model, floor) = (number % SITES, number % 12, number % 9);
    let mut channels = String::new();
    for channel in 0..CHANNELS {
        let comma = if channel == 0 { "" } else { "," };
        let (period, low, high) = (250 + channel * 50, number % 97, 900 + number % 89);
        write!(
            channels,
            "{comma}\"c{channel:02}\":{{\"unit\":\"mV\",\"period\":{period},\"low\":{low},\"high\":{high}}}"
        )?;
    }
    Ok(format!(
        "{{\"kind\":\"enrollment\",\"record\":{{\"registrationId\":\"{id}\",\
         \"attestation\":{{\"type\":\"symmetricKey\",\"symmetricKey\":\
         {{\"primaryKey\":\"{primary}\",\"secondaryKey\":\"{secondary}\"}}}},\
         \"capabilities\":{{\"iotEdge\":false}},\
         \"initialTwin\":{{\"tags\":{{\"site\":\"plant-{site:03}\",\"model\":\"s{model}\",\"floor\":{floor}}},\
         \"properties\":{{\"desired\":{{\"firmware\":\"4.2.{model}\",\"channels\":{{{channels}}}}}}}}},\
         \"provisioningStatus\":\"enabled\",\
         \"reprovisionPolicy\":{{\"updateHubAssignment\":true,\"migrateDeviceData\":true}},\
         \"allocationPolicy\":\"hashed\"}}}}\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use landfall_wire::own::import::{Line, parse};

    #[test]
    fn each_line_is_an_enrollment_of_some_kilobyte_and_a_half() {
        for number in [0, 7, 999_999] {
            let line = line(number).expect("written");
            assert!((1450..1600).contains(&line.len()), "{}", line.len());
            let parsed = parse(line.as_bytes()).expect("a record");
            let Line::Record(_, named, _) = parsed else {
                panic!("{parsed:?}");
            };
            assert_eq!(named, id(number));
        }
    }
}
