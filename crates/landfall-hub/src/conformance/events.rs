//! Events: kept in order under numbers that never come back, given in bounds, dropped from the oldest on.

use landfall_core::clock::Timestamp;

use super::*;
use crate::endpoint::Endpoint;
use crate::event::{EventEnds, EventKind, EventLimit, HubEvent, KeptEvent};

const PLENTY: EventLimit = EventLimit {
    events: 1000,
    bytes: 1 << 20,
};

pub(super) async fn run<S: HubStore>(house: &House<S>, other: &House<S>) {
    house.device("d").await;
    what_is_appended_is_read_back(house).await;
    each_hub_counts_for_itself(house, other).await;
    an_event_goes_with_the_rest_of_its_change(house).await;
    a_page_is_bounded_by_number_and_by_size(other).await;
    many_at_once_are_all_kept_each_under_its_number(house).await;
    a_removed_device_leaves_its_events(house).await;
    the_oldest_go_by_age_and_by_number(house).await;
    a_hub_takes_its_events_along_and_no_number_comes_back(house).await;
}

fn event(body: &[u8], enqueued: i64) -> HubEvent {
    HubEvent {
        endpoint: Endpoint::device(device_id("d")),
        kind: EventKind::Telemetry,
        enqueued: Timestamp::from_unix_seconds(enqueued),
        properties: Vec::new(),
        body: body.to_vec(),
    }
}

impl<S: HubStore> House<S> {
    fn append(&self, event: HubEvent) -> HubWrite {
        HubWrite::AppendEvent(self.hub.clone(), Box::new(event))
    }

    async fn appended(&self, event: HubEvent) {
        let write = self.append(event);
        self.commit(vec![write]).await.expect("an event of the hub");
    }

    async fn events(&self, after: i64, limit: EventLimit) -> Vec<KeptEvent> {
        let read = self.store.events_after(&self.hub, after, limit).await;
        read.expect("events")
    }

    async fn numbers(&self, after: i64, limit: EventLimit) -> Vec<i64> {
        let events = self.events(after, limit).await;
        events.iter().map(|kept| kept.sequence).collect()
    }

    async fn ends(&self) -> (i64, i64) {
        let EventEnds { oldest, newest } =
            self.store.event_ends(&self.hub).await.expect("the ends");
        (oldest, newest)
    }

    async fn purged(&self, before: i64, most: u64, limit: usize) -> usize {
        let before = Timestamp::from_unix_seconds(before);
        let purged = self.store.purge_events(before, most, limit).await;
        purged.expect("purged")
    }
}

async fn what_is_appended_is_read_back<S: HubStore>(house: &House<S>) {
    assert_eq!(house.ends().await, (1, 0), "nothing yet");
    let pair = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
    let sent = HubEvent {
        endpoint: Endpoint {
            device: device_id("d"),
            module: Some(module_id("m")),
        },
        properties: vec![
            pair("b", Some("")),
            pair("a", None),
            pair("b", Some("\u{0}\"ü")),
        ],
        body: vec![0, 255, 10],
        ..event(b"", 7)
    };
    let kinds = [
        EventKind::Telemetry,
        EventKind::DeviceConnected,
        EventKind::DeviceDisconnected,
    ];
    let mut all = Vec::new();
    for (sequence, kind) in (1..).zip(kinds.into_iter().chain(kinds)) {
        let event = HubEvent {
            kind,
            ..sent.clone()
        };
        house.appended(event.clone()).await;
        all.push(KeptEvent { sequence, event });
    }
    assert_eq!(house.events(0, PLENTY).await, all);
    assert_eq!(house.events(4, PLENTY).await, all[4..]);
    assert_eq!(house.events(6, PLENTY).await, []);
    assert_eq!(house.ends().await, (1, 6));
}

async fn each_hub_counts_for_itself<S: HubStore>(house: &House<S>, other: &House<S>) {
    let here = house.append(event(b"here", 8));
    let there = other.append(event(b"there", 8));
    let changes = [here.clone(), there.clone(), here, there];
    let changes = changes.map(|write| Change::of_hub(vec![write]));
    for answer in house.store.commit(changes.into()).await {
        answer.expect("an event");
    }
    assert_eq!(house.numbers(6, PLENTY).await, [7, 8]);
    assert_eq!(other.numbers(0, PLENTY).await, [1, 2]);
    let bodies = |kept: Vec<KeptEvent>| -> Vec<Vec<u8>> {
        kept.into_iter().map(|kept| kept.event.body).collect()
    };
    assert_eq!(bodies(other.events(0, PLENTY).await), [b"there", b"there"]);
}

async fn an_event_goes_with_the_rest_of_its_change<S: HubStore>(house: &House<S>) {
    let nowhere = HubHostName::parse("nowhere.conformance.hub").expect("a host name");
    let lost = HubWrite::AppendEvent(nowhere, Box::new(event(b"lost", 8)));
    let device = house.stored("d").await;
    let put = |expect| HubWrite::PutDevice(house.hub.clone(), Box::new(device.clone()), expect);
    let changes = vec![
        Change::of_hub(vec![house.append(event(b"first", 8))]),
        Change::of_hub(vec![lost]),
        Change::of_hub(vec![
            house.append(event(b"undone", 8)),
            put(HubExpect::Absent),
        ]),
        Change::of_hub(vec![
            put(HubExpect::Revision(device.revision)),
            house.append(event(b"second", 8)),
            house.append(event(b"third", 8)),
        ]),
        Change::of_hub(vec![house.append(event(b"fourth", 8))]),
    ];
    let answers = house.store.commit(changes).await;
    assert!(
        matches!(
            answers[..],
            [
                Ok(()),
                Err(CommitError::Absent(_)),
                Err(CommitError::Exists(_)),
                Ok(()),
                Ok(())
            ]
        ),
        "{answers:?}"
    );
    let mut kept: Vec<_> = house.events(8, PLENTY).await;
    assert_eq!(house.numbers(8, PLENTY).await, [9, 10, 11, 12]);
    kept.sort_by(|one, other| one.event.body.cmp(&other.event.body));
    let bodies: Vec<_> = kept.iter().map(|kept| &kept.event.body[..]).collect();
    assert_eq!(bodies, [&b"first"[..], b"fourth", b"second", b"third"]);
}

async fn a_page_is_bounded_by_number_and_by_size<S: HubStore>(other: &House<S>) {
    for _ in 0..6 {
        other.appended(event(&[b'x'; 1000], 8)).await;
    }
    let page = |events, bytes| EventLimit { events, bytes };
    assert_eq!(other.numbers(2, page(4, 1 << 20)).await, [3, 4, 5, 6]);
    assert_eq!(other.numbers(2, page(9, 2500)).await, [3, 4, 5]);
    assert_eq!(other.numbers(2, page(9, 1)).await, [3], "at least one");
    assert_eq!(other.events(8, page(9, 1)).await, []);
}

async fn many_at_once_are_all_kept_each_under_its_number<S: HubStore>(house: &House<S>) {
    let before = house.ends().await.1;
    let change = |number: u32| {
        let event = event(&number.to_be_bytes(), 9);
        Change::of_hub(vec![house.append(event)])
    };
    let answers = house.store.commit((0..200).map(change).collect()).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let kept = house.events(before, PLENTY).await;
    let numbers: Vec<i64> = kept.iter().map(|kept| kept.sequence).collect();
    let expected: Vec<i64> = (before + 1..=before + 200).collect();
    assert_eq!(numbers, expected, "no gap, and none twice");
    let sent: Vec<Vec<u8>> = (0..200_u32).map(|n| n.to_be_bytes().to_vec()).collect();
    let bodies: Vec<Vec<u8>> = kept.into_iter().map(|kept| kept.event.body).collect();
    assert_eq!(bodies, sent, "in the order in which they were sent");
}

async fn a_removed_device_leaves_its_events<S: HubStore>(house: &House<S>) {
    let before = house.numbers(0, PLENTY).await;
    let delete = HubWrite::DeleteDevice(house.hub.clone(), device_id("d"), HubExpect::Anything);
    house.commit(vec![delete]).await.expect("removed");
    assert_eq!(house.numbers(0, PLENTY).await, before);
    house.appended(event(b"late", 9)).await;
}

async fn the_oldest_go_by_age_and_by_number<S: HubStore>(house: &House<S>) {
    let newest = house.ends().await.1;
    assert_eq!(house.purged(7, u64::MAX, 100).await, 0, "none is so old");
    // The first six are of 7, all others younger; of the other hub all are.
    assert_eq!(house.purged(8, u64::MAX, 4).await, 4, "a share at a time");
    assert_eq!(house.ends().await, (5, newest));
    assert_eq!(house.purged(8, u64::MAX, 4).await, 2);
    assert_eq!(house.ends().await, (7, newest));
    let mut gone = 0;
    loop {
        let went = house.purged(0, 8, 50).await;
        gone += went;
        if went == 0 {
            break;
        }
    }
    assert_eq!(gone, usize::try_from(newest - 6 - 8).expect("a count"));
    assert_eq!(house.ends().await, (newest - 7, newest));
    // The newest go too, and their numbers with them.
    while house.purged(1_000_000_000, 0, 50).await > 0 {}
    assert_eq!(house.ends().await, (newest + 1, newest));
    house.appended(event(b"next", 10)).await;
    assert_eq!(house.numbers(0, PLENTY).await, [newest + 1]);
    // One that the clock made older than the one before it takes that along.
    house.appended(event(b"set back", 2)).await;
    assert_eq!(house.purged(3, u64::MAX, 50).await, 2);
    house.appended(event(b"left", 10)).await;
}

async fn a_hub_takes_its_events_along_and_no_number_comes_back<S: HubStore>(house: &House<S>) {
    let newest = house.ends().await.1;
    let record = house.store.hub(&house.hub).await.expect("reads");
    let record = record.expect("a hub");
    let delete = HubWrite::DeleteHub(house.hub.clone(), HubExpect::Anything);
    house.commit(vec![delete]).await.expect("removed");
    assert_eq!(house.events(0, PLENTY).await, []);
    let again = HubWrite::PutHub(Box::new(record), HubExpect::Absent);
    house.commit(vec![again]).await.expect("made anew");
    assert_eq!(house.ends().await, (newest + 1, newest));
    house.appended(event(b"anew", 10)).await;
    assert_eq!(house.numbers(newest, PLENTY).await, [newest + 1]);
}
