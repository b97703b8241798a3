//! Twins: tags, desired and reported properties with their versions and metadata.
//!
//! Limits and the merge itself are core's; here a change gets its versions, its metadata and its
//! etag. Everything is a value in, a value out; `registry` writes what comes out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use landfall_core::clock::Timestamp;
use landfall_core::document::{Document, Json, JsonObject};
use landfall_core::enrollment::InitialTwin;
use landfall_core::id::Etag;
use landfall_core::twin::{Section, TwinError, check_form, check_size, initial_section, merge};

/// The hub's document about a device or module.
#[derive(Debug, Clone, PartialEq)]
pub struct Twin {
    /// What only operators see: an object.
    pub tags: Document,
    /// What the device is asked to become: an object without `$metadata` and `$version`.
    pub desired: TwinSection,
    /// What the device says it is.
    pub reported: TwinSection,
    /// Grows with every change of any part.
    pub version: i64,
    /// The mark of the twin's state: base64 of an 8-byte counter.
    pub etag: Etag,
}

/// Desired or reported properties.
#[derive(Debug, Clone, PartialEq)]
pub struct TwinSection {
    /// The properties: an object.
    pub properties: Document,
    /// `$metadata`: mirrors the properties with times and versions.
    pub metadata: Document,
    /// `$version`.
    pub version: i64,
}

impl TwinSection {
    /// The properties with their version, as the device or module reads them.
    ///
    /// Source: docs/protocol/hub-api.md §2.1 [D].
    pub fn versioned(&self) -> Json {
        with_version(
            self.properties.to_object().unwrap_or_default(),
            self.version,
        )
    }
}

/// A change of desired properties as the device or module reads it: the patch, or all of them after a
/// replacement, with the version that they have by it. None when the change is none of them.
///
/// Source: docs/protocol/hub-api.md §1.6 [D], §2.1 [S].
pub fn desired_notice(verb: TwinVerb, change: &TwinChange, twin: &Twin) -> Option<Json> {
    let patch = change.desired.as_ref()?;
    Some(match verb {
        TwinVerb::Replace => twin.desired.versioned(),
        TwinVerb::Patch => with_version(patch.clone(), twin.desired.version),
    })
}

fn with_version(mut members: JsonObject, version: i64) -> Json {
    members.insert("$version".to_owned(), version.into());
    Json::Object(members)
}

/// What an operator changes of a twin: the sections named, and no other.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TwinChange {
    /// Tags, when they stand in the request.
    pub tags: Option<JsonObject>,
    /// Desired properties, when they stand in the request, without `$metadata` and `$version`.
    pub desired: Option<JsonObject>,
}

/// How a change treats what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TwinVerb {
    /// Merge into it; null deletes.
    Patch,
    /// Put the change in its place.
    Replace,
}

/// The sections a twin starts with.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TwinContent {
    /// See [`Twin::tags`].
    pub tags: JsonObject,
    /// See [`Twin::desired`].
    pub desired: JsonObject,
    /// See [`Twin::reported`].
    pub reported: JsonObject,
}

impl TwinContent {
    /// The content that an enrollment gives.
    ///
    /// # Errors
    /// [`TwinError`] when a part breaks a limit.
    pub fn initial(twin: &InitialTwin) -> Result<Self, TwinError> {
        Ok(TwinContent {
            tags: initial_section(Section::Tags, twin.tags.as_ref())?,
            desired: initial_section(Section::Desired, twin.desired.as_ref())?,
            reported: JsonObject::new(),
        })
    }

    /// The content of a twin, to be taken to another hub.
    pub fn of(twin: &Twin) -> Self {
        TwinContent {
            tags: twin.tags.to_object().unwrap_or_default(),
            desired: twin.desired.properties.to_object().unwrap_or_default(),
            reported: twin.reported.properties.to_object().unwrap_or_default(),
        }
    }

    /// The content that a creating request gives, checked, without nulls.
    ///
    /// # Errors
    /// [`TwinError`] when a section breaks a limit.
    pub fn checked(change: TwinChange, reported: Option<JsonObject>) -> Result<Self, TwinError> {
        Ok(TwinContent {
            tags: clean(Section::Tags, change.tags)?,
            desired: clean(Section::Desired, change.desired)?,
            reported: clean(Section::Reported, reported)?,
        })
    }
}

impl Twin {
    /// The twin of a new identity: `$version` 1 in both sections, the first etag.
    ///
    /// Source: docs/protocol/hub-api.md §1.6 [D].
    pub fn fresh(content: &TwinContent, now: Timestamp) -> Self {
        let tags = if content.tags.is_empty() {
            Document::empty_object()
        } else {
            Document::from_json(&Json::Object(content.tags.clone()))
        };
        Twin {
            tags,
            desired: TwinSection::fresh(Section::Desired, &content.desired, now),
            reported: TwinSection::fresh(Section::Reported, &content.reported, now),
            version: 2,
            etag: counter_etag(1),
        }
    }

    /// This twin after an operator's change; `None` when the change names no section.
    ///
    /// Version and etag move with every change, desired `$version` only when desired properties
    /// stand in it.
    /// Source: docs/protocol/hub-api.md §1.6 [D].
    ///
    /// # Errors
    /// [`TwinError`] when the change or its result breaks a limit.
    pub fn changed(
        &self,
        verb: TwinVerb,
        change: &TwinChange,
        now: Timestamp,
    ) -> Result<Option<Twin>, TwinError> {
        if change.tags.is_none() && change.desired.is_none() {
            return Ok(None);
        }
        let mut twin = self.clone();
        if let Some(tags) = &change.tags {
            check_form(Section::Tags, tags)?;
            let mut members = match verb {
                TwinVerb::Patch => self.tags.to_object().unwrap_or_default(),
                TwinVerb::Replace => JsonObject::new(),
            };
            merge(&mut members, tags);
            check_size(Section::Tags, &members)?;
            twin.tags = Document::from_json(&Json::Object(members));
        }
        if let Some(desired) = &change.desired {
            twin.desired = self.desired.changed(Section::Desired, verb, desired, now)?;
        }
        twin.version += 1;
        twin.etag = counter_etag(counter_of(&self.etag).wrapping_add(1));
        Ok(Some(twin))
    }

    /// This twin after its device reported `patch`. The etag guards what operators write and stays.
    ///
    /// # Errors
    /// [`TwinError`] when the patch or its result breaks a limit.
    pub fn reported(&self, patch: &JsonObject, now: Timestamp) -> Result<Twin, TwinError> {
        let mut twin = self.clone();
        twin.reported = self
            .reported
            .changed(Section::Reported, TwinVerb::Patch, patch, now)?;
        twin.version += 1;
        Ok(twin)
    }
}

impl TwinSection {
    fn fresh(section: Section, properties: &JsonObject, now: Timestamp) -> Self {
        let mut metadata = JsonObject::new();
        Stamp::new(section, now, 1).mark(&mut metadata, properties);
        TwinSection {
            properties: Document::from_json(&Json::Object(properties.clone())),
            metadata: Document::from_json(&Json::Object(metadata)),
            version: 1,
        }
    }

    fn changed(
        &self,
        section: Section,
        verb: TwinVerb,
        change: &JsonObject,
        now: Timestamp,
    ) -> Result<TwinSection, TwinError> {
        check_form(section, change)?;
        let (mut properties, mut metadata) = match verb {
            TwinVerb::Patch => (
                self.properties.to_object().unwrap_or_default(),
                self.metadata.to_object().unwrap_or_default(),
            ),
            TwinVerb::Replace => (JsonObject::new(), JsonObject::new()),
        };
        let version = self.version + 1;
        merge(&mut properties, change);
        check_size(section, &properties)?;
        Stamp::new(section, now, version).mark(&mut metadata, change);
        Ok(TwinSection {
            properties: Document::from_json(&Json::Object(properties)),
            metadata: Document::from_json(&Json::Object(metadata)),
            version,
        })
    }
}

/// What is written into `$metadata` at every place that a change names.
struct Stamp {
    time: String,
    /// Desired properties say the version that last changed them too.
    version: Option<i64>,
}

impl Stamp {
    const TIME: &'static str = "$lastUpdated";
    const VERSION: &'static str = "$lastUpdatedVersion";

    fn new(section: Section, now: Timestamp, version: i64) -> Self {
        Stamp {
            time: now.to_wire(),
            version: (section == Section::Desired).then_some(version),
        }
    }

    /// Marks `metadata` for a change of the object it mirrors, and every object on the way.
    fn mark(&self, metadata: &mut JsonObject, change: &JsonObject) {
        self.put(metadata);
        for (key, value) in change {
            match value {
                Json::Null => {
                    metadata.shift_remove(key);
                }
                Json::Object(inner) => {
                    let slot = metadata.entry(key.clone()).or_insert(Json::Null);
                    if !slot.is_object() {
                        *slot = Json::Object(JsonObject::new());
                    }
                    if let Json::Object(members) = slot {
                        self.mark(members, inner);
                    }
                }
                _ => {
                    let mut leaf = JsonObject::new();
                    self.put(&mut leaf);
                    metadata.insert(key.clone(), Json::Object(leaf));
                }
            }
        }
    }

    fn put(&self, metadata: &mut JsonObject) {
        metadata.insert(Self::TIME.to_owned(), Json::from(self.time.as_str()));
        if let Some(version) = self.version {
            metadata.insert(Self::VERSION.to_owned(), Json::from(version));
        }
    }
}

fn clean(section: Section, members: Option<JsonObject>) -> Result<JsonObject, TwinError> {
    let Some(members) = members else {
        return Ok(JsonObject::new());
    };
    check_form(section, &members)?;
    let mut out = JsonObject::new();
    merge(&mut out, &members);
    check_size(section, &out)?;
    Ok(out)
}

/// The etag for a count: base64 of eight bytes, the greatest first.
///
/// Source: docs/protocol/hub-api.md §1.5 [D].
#[expect(
    clippy::expect_used,
    reason = "base64 of eight bytes is twelve visible characters, which every etag may be"
)]
fn counter_etag(count: u64) -> Etag {
    Etag::parse(&STANDARD.encode(count.to_be_bytes())).expect("base64 is an etag")
}

/// The count of an etag; an etag of another form counts as none.
fn counter_of(etag: &Etag) -> u64 {
    STANDARD
        .decode(etag.as_str())
        .ok()
        .and_then(|bytes| <[u8; 8]>::try_from(bytes).ok())
        .map_or(0, u64::from_be_bytes)
}

#[cfg(test)]
mod tests;
