//! Messages to devices: hub-api.md §2.1.

use landfall_core::clock::Timestamp;

use super::*;
use crate::endpoint::Endpoint;
use crate::message::{Ack, CloudMessage, Lock, MOST_DELIVERIES, MOST_QUEUED, Settlement};
use crate::registry::identity::ModuleRequest;
use crate::store::{HubAnswer, HubSelection};

/// Later than the clock of whoever runs the suite.
const NEVER_OVER: i64 = 9_000_000_000;

pub(super) async fn run<S: HubStore>(house: &House<S>) {
    house.device("d").await;
    let device = Endpoint::device(device_id("d"));
    what_is_queued_is_read_in_its_order(house, &device).await;
    what_is_taken_is_gone_however_often_it_is_said(house, &device).await;
    deliveries_are_counted_until_it_is_given_up(house, &device).await;
    a_locked_message_is_its_taker_s_until_the_lock_ends(house, &device).await;
    what_became_of_a_locked_message_is_said_once(house, &device).await;
    what_expired_is_read_no_more_and_dropped(house, &device).await;
    a_full_queue_takes_no_more_until_there_is_room(house, &device).await;
    nobody_who_is_not_there_is_written_to(house).await;
    a_device_and_its_module_have_queues_of_their_own(house).await;
    documents_tell_how_many_wait(house).await;
    a_queue_goes_with_its_owner_and_no_number_comes_back(house).await;
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds)
}

fn message(body: &[u8], expires: i64) -> CloudMessage {
    CloudMessage {
        sequence: 0,
        message_id: None,
        correlation_id: None,
        user_id: None,
        content_type: None,
        content_encoding: None,
        ack: Ack::None,
        enqueued: at(100),
        expires: at(expires),
        delivery_count: 0,
        properties: Vec::new(),
        body: body.to_vec(),
    }
}

impl<S: HubStore> House<S> {
    async fn enqueue(
        &self,
        endpoint: &Endpoint,
        message: CloudMessage,
    ) -> Result<i64, CommitError> {
        let write = HubWrite::Enqueue(self.hub.clone(), endpoint.clone(), Box::new(message));
        let answers = self.store.carry_out(Change::of_hub(vec![write])).await?;
        match answers[..] {
            [HubAnswer::Enqueued(sequence)] => Ok(sequence),
            _ => unreachable!("one message has one number: {answers:?}"),
        }
    }

    async fn enqueued(&self, endpoint: &Endpoint, message: CloudMessage) -> i64 {
        let enqueued = self.enqueue(endpoint, message).await;
        enqueued.expect("a message for an endpoint")
    }

    async fn waiting(&self, endpoint: &Endpoint, after: i64, now: i64) -> Vec<CloudMessage> {
        let read = self
            .store
            .messages(&self.hub, endpoint, after, at(now), 1000);
        read.await.expect("messages")
    }

    async fn numbers_of(&self, endpoint: &Endpoint, now: i64) -> Vec<i64> {
        let waiting = self.waiting(endpoint, 0, now).await;
        waiting.iter().map(|message| message.sequence).collect()
    }

    async fn purge(&self, endpoint: &Endpoint, now: i64) -> usize {
        let write = HubWrite::Purge(self.hub.clone(), endpoint.clone(), at(now));
        let answers = self.store.carry_out(Change::of_hub(vec![write])).await;
        match answers.expect("emptied")[..] {
            [HubAnswer::Purged(waited)] => waited,
            _ => unreachable!("one queue has one count"),
        }
    }
}

async fn what_is_queued_is_read_in_its_order<S: HubStore>(house: &House<S>, device: &Endpoint) {
    let full = CloudMessage {
        message_id: Some("m-1".to_owned()),
        correlation_id: Some("c".to_owned()),
        user_id: Some(String::new()),
        content_type: Some("application/json".to_owned()),
        content_encoding: Some("utf-8".to_owned()),
        ack: Ack::Full,
        delivery_count: 1,
        properties: vec![
            ("b".to_owned(), Some("\u{0}ü".to_owned())),
            ("a".to_owned(), None),
        ],
        // What the sender calls it does not count.
        sequence: 77,
        ..message(&[0, 255], NEVER_OVER)
    };
    let plain = message(b"", NEVER_OVER);
    let first = house.enqueued(device, full.clone()).await;
    let second = house.enqueued(device, plain.clone()).await;
    assert!(0 < first && first < second);
    let all = [
        CloudMessage {
            sequence: first,
            ..full
        },
        CloudMessage {
            sequence: second,
            ..plain
        },
    ];
    assert_eq!(house.waiting(device, 0, 100).await, all);
    assert_eq!(house.waiting(device, first, 100).await, all[1..]);
    let one = house.store.messages(&house.hub, device, 0, at(100), 1);
    assert_eq!(one.await.expect("messages"), all[..1]);
    for ack in [Ack::None, Ack::Positive, Ack::Negative] {
        let sequence = house
            .enqueued(
                device,
                CloudMessage {
                    ack,
                    ..message(b"", NEVER_OVER)
                },
            )
            .await;
        let kept = house.waiting(device, sequence - 1, 100).await;
        assert_eq!(kept.first().map(|message| message.ack), Some(ack));
    }
    assert_eq!(house.purge(device, 100).await, 5);
    assert_eq!(house.waiting(device, 0, 100).await, []);
}

async fn what_is_taken_is_gone_however_often_it_is_said<S: HubStore>(
    house: &House<S>,
    device: &Endpoint,
) {
    let mut numbers = Vec::new();
    for _ in 0..3 {
        numbers.push(house.enqueued(device, message(b"x", NEVER_OVER)).await);
    }
    let place = || (house.hub.clone(), device.clone());
    let complete = |sequence| HubWrite::Complete(place().0, place().1, sequence);
    let reject = |sequence| HubWrite::Reject(place().0, place().1, sequence);
    for _ in 0..2 {
        let writes = vec![complete(numbers[0]), reject(numbers[2])];
        let answers = house.store.carry_out(Change::of_hub(writes)).await;
        assert_eq!(answers, Ok(Vec::new()), "again is as good as once");
        assert_eq!(house.numbers_of(device, 100).await, [numbers[1]]);
    }
    // Nobody takes what is another's.
    house.device("stranger").await;
    let stranger = Endpoint::device(device_id("stranger"));
    let write = HubWrite::Complete(house.hub.clone(), stranger, numbers[1]);
    house.commit(vec![write]).await.expect("nothing to take");
    assert_eq!(house.numbers_of(device, 100).await, [numbers[1]]);
    house
        .commit(vec![complete(numbers[1])])
        .await
        .expect("taken");
    assert_eq!(house.waiting(device, 0, 100).await, []);
}

async fn deliveries_are_counted_until_it_is_given_up<S: HubStore>(
    house: &House<S>,
    device: &Endpoint,
) {
    let sequence = house.enqueued(device, message(b"x", NEVER_OVER)).await;
    let delivered = || HubWrite::Delivered(house.hub.clone(), device.clone(), sequence);
    for count in 1..MOST_DELIVERIES {
        house.commit(vec![delivered()]).await.expect("counted");
        let waiting = house.waiting(device, 0, 100).await;
        let counts: Vec<u32> = waiting.iter().map(|one| one.delivery_count).collect();
        assert_eq!(counts, [count]);
        assert!(waiting.iter().all(|one| one.waits(at(100))));
    }
    house.commit(vec![delivered()]).await.expect("the last one");
    assert_eq!(house.waiting(device, 0, 100).await, [], "given up");
    let purged = house.store.purge_messages(at(100), 100).await;
    assert_eq!(purged, Ok(1));
    house
        .commit(vec![delivered()])
        .await
        .expect("nothing to count");
    assert_eq!(house.store.purge_messages(at(100), 100).await, Ok(0));
}

impl<S: HubStore> House<S> {
    async fn lock(&self, endpoint: &Endpoint, now: i64) -> Option<CloudMessage> {
        let (hub, endpoint) = (self.hub.clone(), endpoint.clone());
        let write = HubWrite::Lock(hub, endpoint, at(now), at(now + 60));
        let answers = self.store.carry_out(Change::of_hub(vec![write])).await;
        match <[HubAnswer; 1]>::try_from(answers.expect("an endpoint")) {
            Ok([HubAnswer::Locked(locked)]) => locked.map(|message| *message),
            other => unreachable!("one lock is one answer: {other:?}"),
        }
    }

    async fn settle(
        &self,
        endpoint: &Endpoint,
        lock: Lock,
        settlement: Settlement,
        now: i64,
    ) -> Result<(), CommitError> {
        let (hub, endpoint) = (self.hub.clone(), endpoint.clone());
        let write = HubWrite::Settle(hub, endpoint, lock, settlement, at(now));
        self.commit(vec![write]).await
    }
}

async fn a_locked_message_is_its_taker_s_until_the_lock_ends<S: HubStore>(
    house: &House<S>,
    device: &Endpoint,
) {
    assert_eq!(house.lock(device, 100).await, None, "nothing waits");
    let full = CloudMessage {
        message_id: Some("m-1".to_owned()),
        properties: vec![("a".to_owned(), None)],
        ..message(b"one", 1000)
    };
    let one = house.enqueued(device, full.clone()).await;
    let two = house.enqueued(device, message(b"two", 1000)).await;
    let first = house.lock(device, 100).await.expect("the first");
    let wanted = CloudMessage {
        sequence: one,
        delivery_count: 1,
        ..full
    };
    assert_eq!(first, wanted);
    let taken = async |now| {
        house
            .lock(device, now)
            .await
            .map(|message| message.sequence)
    };
    assert_eq!(taken(159).await, Some(two), "the first is locked");
    assert_eq!(taken(159).await, None);
    // The lock is over: it is delivered anew, and who had it has it no more.
    let lock = Lock::of(&first);
    let again = house.lock(device, 160).await.expect("the first again");
    assert_eq!((again.sequence, again.delivery_count), (one, 2));
    let late = house.settle(device, lock, Settlement::Complete, 161).await;
    assert!(matches!(late, Err(CommitError::Changed(_))), "{late:?}");
    let late = house
        .settle(device, Lock::of(&again), Settlement::Complete, 220)
        .await;
    assert!(matches!(late, Err(CommitError::Changed(_))), "{late:?}");
    // A message that a session delivers meanwhile is that session's.
    let taken = house.lock(device, 300).await.expect("the first once more");
    let delivered = HubWrite::Delivered(house.hub.clone(), device.clone(), one);
    house.commit(vec![delivered]).await.expect("counted");
    let lock = Lock::of(&taken);
    let lost = house.settle(device, lock, Settlement::Complete, 301).await;
    assert!(matches!(lost, Err(CommitError::Changed(_))), "{lost:?}");
    assert_eq!(house.numbers_of(device, 301).await, [one, two]);
    assert_eq!(house.purge(device, 301).await, 2);
    // What expired is not taken, and no more what was delivered as often as may be.
    let short = house.enqueued(device, message(b"short", 400)).await;
    let often = house.enqueued(device, message(b"often", NEVER_OVER)).await;
    assert_eq!(
        house.lock(device, 400).await.map(|m| m.sequence),
        Some(often)
    );
    for round in 1..i64::from(MOST_DELIVERIES) {
        let taken = house.lock(device, 400 + round * 60).await;
        assert_eq!(taken.map(|message| message.sequence), Some(often));
    }
    assert_eq!(house.lock(device, 10_000).await, None, "given up");
    assert_eq!(house.numbers_of(device, 399).await, [short]);
    assert_eq!(house.store.purge_messages(at(10_000), 10).await, Ok(2));
    let nobody = Endpoint::device(device_id("nobody"));
    let write = HubWrite::Lock(house.hub.clone(), nobody, at(1), at(2));
    let refused = house.commit(vec![write]).await;
    assert!(
        matches!(refused, Err(CommitError::Absent(_))),
        "{refused:?}"
    );
}

async fn what_became_of_a_locked_message_is_said_once<S: HubStore>(
    house: &House<S>,
    device: &Endpoint,
) {
    house.device("other").await;
    for settlement in [Settlement::Complete, Settlement::Reject] {
        let sequence = house.enqueued(device, message(b"x", NEVER_OVER)).await;
        let lock = Lock::of(&house.lock(device, 100).await.expect("a message"));
        assert_eq!(lock.sequence, sequence);
        let other = Endpoint::device(device_id("other"));
        let refused = house.settle(&other, lock, settlement, 101).await;
        assert!(
            matches!(refused, Err(CommitError::Changed(_))),
            "{refused:?}"
        );
        house
            .settle(device, lock, settlement, 101)
            .await
            .expect("said");
        let again = house.settle(device, lock, settlement, 101).await;
        assert!(matches!(again, Err(CommitError::Changed(_))), "{again:?}");
        assert_eq!(house.waiting(device, 0, 101).await, []);
    }
    let sequence = house.enqueued(device, message(b"x", NEVER_OVER)).await;
    let lock = Lock::of(&house.lock(device, 100).await.expect("a message"));
    house
        .settle(device, lock, Settlement::Abandon, 101)
        .await
        .expect("said");
    let again = house.settle(device, lock, Settlement::Abandon, 101).await;
    assert!(matches!(again, Err(CommitError::Changed(_))), "{again:?}");
    let taken = house.lock(device, 102).await.expect("it waits again");
    assert_eq!((taken.sequence, taken.delivery_count), (sequence, 2));
    assert_eq!(house.purge(device, 102).await, 1);
}

async fn what_expired_is_read_no_more_and_dropped<S: HubStore>(
    house: &House<S>,
    device: &Endpoint,
) {
    let mut numbers = Vec::new();
    for expires in [200, 150, NEVER_OVER, 160] {
        numbers.push(house.enqueued(device, message(b"x", expires)).await);
    }
    assert_eq!(house.numbers_of(device, 149).await, numbers);
    let later = [numbers[0], numbers[2]];
    assert_eq!(house.numbers_of(device, 160).await, later);
    assert_eq!(house.store.purge_messages(at(160), 1).await, Ok(1));
    assert_eq!(house.store.purge_messages(at(160), 10).await, Ok(1));
    assert_eq!(
        house.numbers_of(device, 0).await,
        later,
        "what waits is left"
    );
    assert_eq!(house.purge(device, 200).await, 1, "one of two still waited");
    assert_eq!(house.waiting(device, 0, 0).await, [], "both are gone");
}

async fn a_full_queue_takes_no_more_until_there_is_room<S: HubStore>(
    house: &House<S>,
    device: &Endpoint,
) {
    // One that has expired when the others come takes no place.
    house.enqueued(device, message(b"old", 50)).await;
    let mut last = 0;
    for _ in 0..MOST_QUEUED {
        last = house.enqueued(device, message(b"x", 300)).await;
    }
    let full = house.enqueue(device, message(b"over", 300)).await;
    assert!(matches!(full, Err(CommitError::Full(_))), "{full:?}");
    let write = HubWrite::Enqueue(
        house.hub.clone(),
        device.clone(),
        Box::new(message(b"over", 300)),
    );
    let full = house.commit(vec![write]).await;
    assert!(matches!(full, Err(CommitError::Full(_))), "{full:?}");
    assert_eq!(house.numbers_of(device, 100).await.len(), MOST_QUEUED);
    let complete = HubWrite::Complete(house.hub.clone(), device.clone(), last);
    house.commit(vec![complete]).await.expect("taken");
    house.enqueued(device, message(b"fits", 300)).await;
    // All of them are over when this one comes.
    let late = CloudMessage {
        enqueued: at(300),
        ..message(b"late", 400)
    };
    let late = house.enqueued(device, late).await;
    assert_eq!(house.numbers_of(device, 300).await, [late]);
    assert_eq!(house.purge(device, 300).await, 1);
}

async fn nobody_who_is_not_there_is_written_to<S: HubStore>(house: &House<S>) {
    let nobody = Endpoint::device(device_id("nobody"));
    let no_module = Endpoint {
        device: device_id("d"),
        module: Some(module_id("none")),
    };
    for endpoint in [nobody, no_module] {
        let refused = house.enqueue(&endpoint, message(b"x", NEVER_OVER)).await;
        assert!(
            matches!(refused, Err(CommitError::Absent(_))),
            "{refused:?}"
        );
        assert_eq!(house.waiting(&endpoint, 0, 100).await, []);
        assert_eq!(house.purge(&endpoint, 100).await, 0);
    }
}

async fn module_of_d<S: HubStore>(house: &House<S>) -> Endpoint {
    let request = ModuleRequest {
        device_id: device_id("d"),
        id: module_id("m"),
        managed_by: None,
        authentication: None,
    };
    let made = house
        .registry()
        .create_module(&request, &TwinContent::default())
        .await;
    let made = made.expect("a module");
    Endpoint {
        device: made.device_id,
        module: Some(made.id),
    }
}

async fn a_device_and_its_module_have_queues_of_their_own<S: HubStore>(house: &House<S>) {
    let device = Endpoint::device(device_id("d"));
    let module = module_of_d(house).await;
    let to_device = house.enqueued(&device, message(b"d", NEVER_OVER)).await;
    let to_module = house.enqueued(&module, message(b"m", NEVER_OVER)).await;
    assert_eq!(house.numbers_of(&device, 100).await, [to_device]);
    assert_eq!(house.numbers_of(&module, 100).await, [to_module]);
    house.enqueued(&module, message(b"m", NEVER_OVER)).await;
}

async fn documents_tell_how_many_wait<S: HubStore>(house: &House<S>) {
    let every = HubSelection {
        limit: 10,
        ..HubSelection::default()
    };
    let told = async || {
        let (store, hub) = (&house.store, &house.hub);
        let one = store.device(hub, &device_id("d")).await.expect("reads");
        let module = store.module(hub, &device_id("d"), &module_id("m")).await;
        let all = store.devices(hub, &every).await.expect("reads");
        let listed = all.iter().find(|device| device.id == device_id("d"));
        let of_device = store.modules_of(hub, &device_id("d")).await.expect("reads");
        let modules = store.modules(hub, &every).await.expect("reads");
        let module = module.expect("reads").expect("a module").presence.messages;
        assert_eq!(of_device[0].presence.messages, module);
        assert_eq!(modules[0].presence.messages, module);
        let device = one.expect("a device").presence.messages;
        let listed = listed.map(|device| device.presence.messages);
        assert_eq!(listed, Some(device));
        (device, module)
    };
    assert_eq!(told().await, (1, 2));
    // One that expired long ago is none, and a device that is put keeps those it has.
    let device = Endpoint::device(device_id("d"));
    house.enqueued(&device, message(b"over", 200)).await;
    let stored = house.stored("d").await;
    let put = HubWrite::PutDevice(house.hub.clone(), Box::new(stored), HubExpect::Anything);
    house.commit(vec![put]).await.expect("put");
    assert_eq!(told().await, (1, 2));
}

async fn a_queue_goes_with_its_owner_and_no_number_comes_back<S: HubStore>(house: &House<S>) {
    let device = Endpoint::device(device_id("d"));
    let module = Endpoint {
        device: device_id("d"),
        module: Some(module_id("m")),
    };
    let before = house.enqueued(&module, message(b"m", NEVER_OVER)).await;
    let delete = HubWrite::DeleteModule(
        house.hub.clone(),
        device_id("d"),
        module_id("m"),
        HubExpect::Anything,
    );
    house.commit(vec![delete]).await.expect("removed");
    assert_eq!(house.waiting(&module, 0, 100).await, []);
    assert_eq!(house.numbers_of(&device, 200).await.len(), 1, "left alone");
    assert_eq!(module_of_d(house).await, module);
    assert_eq!(house.waiting(&module, 0, 100).await, []);
    house.enqueued(&module, message(b"m", NEVER_OVER)).await;
    let delete = HubWrite::DeleteDevice(house.hub.clone(), device_id("d"), HubExpect::Anything);
    house.commit(vec![delete]).await.expect("removed");
    for endpoint in [&device, &module] {
        assert_eq!(house.waiting(endpoint, 0, 100).await, []);
    }
    house.device("d").await;
    let after = house.enqueued(&device, message(b"x", NEVER_OVER)).await;
    assert!(after > before + 1, "{after} after {before}");
}
