//! What is kept of sessions: epochs that fence, subscriptions that last, presence that documents tell.

use landfall_core::clock::Timestamp;

use super::*;
use crate::device::Presence;
use crate::endpoint::Endpoint;
use crate::kept_session::{Displaced, KeptSession, KeptSubscription, NewSession, Opened};
use crate::registry::identity::ModuleRequest;
use crate::store::{HubAnswer, HubSelection};

pub(super) async fn run<S: HubStore>(house: &House<S>) {
    house.device("d").await;
    let device = Endpoint::device(device_id("d"));
    a_session_begins_ends_and_is_told_of(house, &device).await;
    the_next_session_gets_what_the_last_left(house, &device).await;
    a_clean_session_takes_and_leaves_nothing(house, &device).await;
    of_two_sessions_the_later_counts(house, &device).await;
    a_visit_is_noted_without_a_session(house, &device).await;
    nobody_who_is_not_there_has_a_session(house).await;
    connected_devices_are_counted_without_modules(house).await;
    a_session_shares_the_fate_of_its_change(house, &device).await;
    no_epoch_comes_back_with_the_name(house, &device).await;
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds)
}

fn filters(names: &[(&str, u8)]) -> Vec<KeptSubscription> {
    let kept = names.iter().map(|(filter, qos)| KeptSubscription {
        filter: (*filter).to_owned(),
        qos: *qos,
    });
    kept.collect()
}

impl<S: HubStore> House<S> {
    async fn open(
        &self,
        endpoint: &Endpoint,
        opened: i64,
        clean: bool,
    ) -> Result<Opened, CommitError> {
        let new = NewSession {
            opened: at(opened),
            clean,
        };
        let write = HubWrite::OpenSession(self.hub.clone(), endpoint.clone(), new);
        let answers = self.store.carry_out(Change::of_hub(vec![write])).await?;
        match <[HubAnswer; 1]>::try_from(answers) {
            Ok([HubAnswer::Opened(opened)]) => Ok(opened),
            other => unreachable!("one session is one answer: {other:?}"),
        }
    }

    async fn opened(&self, endpoint: &Endpoint, opened: i64, clean: bool) -> Opened {
        let opened = self.open(endpoint, opened, clean).await;
        opened.expect("a session of an endpoint")
    }

    async fn close(&self, endpoint: &Endpoint, epoch: i64, time: i64) -> Result<(), CommitError> {
        let (hub, endpoint) = (self.hub.clone(), endpoint.clone());
        let write = HubWrite::CloseSession(hub, endpoint, epoch, at(time));
        self.commit(vec![write]).await
    }

    async fn note(&self, endpoint: &Endpoint, epoch: i64, time: i64) -> Result<(), CommitError> {
        let (hub, endpoint) = (self.hub.clone(), endpoint.clone());
        let write = HubWrite::NoteActivity(hub, endpoint, epoch, at(time));
        self.commit(vec![write]).await
    }

    async fn keep(
        &self,
        endpoint: &Endpoint,
        epoch: i64,
        names: &[(&str, u8)],
    ) -> Result<(), CommitError> {
        let (hub, endpoint) = (self.hub.clone(), endpoint.clone());
        let write = HubWrite::KeepSubscriptions(hub, endpoint, epoch, filters(names));
        self.commit(vec![write]).await
    }

    async fn kept(&self, endpoint: &Endpoint) -> Option<KeptSession> {
        let session = self.store.session(&self.hub, endpoint).await;
        session.expect("reads")
    }

    async fn connected(&self) -> u64 {
        let connected = self.store.connected_devices(&self.hub).await;
        connected.expect("counted")
    }

    /// The presence that the device's record and its place in a listing tell alike.
    async fn presence(&self, id: &str) -> Presence {
        let presence = self.stored(id).await.presence;
        let every = HubSelection {
            limit: 100,
            ..HubSelection::default()
        };
        let listed = self.store.devices(&self.hub, &every).await.expect("reads");
        let listed = listed.iter().find(|device| device.id == device_id(id));
        assert_eq!(listed.map(|device| device.presence), Some(presence));
        presence
    }

    async fn module_of(&self, device: &str) -> Endpoint {
        let request = ModuleRequest {
            device_id: device_id(device),
            id: module_id("m"),
            managed_by: None,
            authentication: None,
        };
        let made = self
            .registry()
            .create_module(&request, &TwinContent::default())
            .await
            .expect("a module");
        Endpoint {
            device: made.device_id,
            module: Some(made.id),
        }
    }
}

fn overtaken(result: Result<(), CommitError>) {
    assert!(matches!(result, Err(CommitError::Changed(_))), "{result:?}");
}

async fn a_session_begins_ends_and_is_told_of<S: HubStore>(house: &House<S>, device: &Endpoint) {
    assert_eq!(house.kept(device).await, None);
    assert_eq!(house.presence("d").await, Presence::default());
    let opened = house.opened(device, 1000, false).await;
    assert_eq!(
        (&opened.subscriptions, &opened.displaced),
        (&None, &None),
        "the first of all"
    );
    let kept = KeptSession {
        epoch: opened.epoch,
        node: house.store.node(),
        connected: true,
        clean: false,
        opened: at(1000),
        changed: at(1000),
        last_activity: at(1000),
        subscriptions: Vec::new(),
    };
    assert_eq!(house.kept(device).await, Some(kept.clone()));
    let presence = Presence {
        connected: true,
        connected_changed: at(1000),
        last_activity: at(1000),
        messages: 0,
    };
    assert_eq!(house.presence("d").await, presence);
    house.note(device, opened.epoch, 1030).await.expect("noted");
    house.note(device, opened.epoch, 1020).await.expect("late");
    let presence = Presence {
        last_activity: at(1030),
        ..presence
    };
    assert_eq!(house.presence("d").await, presence);
    // Whoever puts the record leaves its presence alone.
    let stored = house.stored("d").await;
    let put = HubWrite::PutDevice(house.hub.clone(), Box::new(stored), HubExpect::Anything);
    house.commit(vec![put]).await.expect("put");
    assert_eq!(house.presence("d").await, presence);
    for time in [1040, 1050] {
        let closed = house.close(device, opened.epoch, time).await;
        closed.expect("ended, and again is as good as once");
        let presence = Presence {
            connected: false,
            connected_changed: at(1040),
            last_activity: at(1040),
            messages: 0,
        };
        assert_eq!(house.presence("d").await, presence);
    }
    let kept = KeptSession {
        connected: false,
        changed: at(1040),
        last_activity: at(1040),
        ..kept
    };
    assert_eq!(house.kept(device).await, Some(kept));
}

async fn the_next_session_gets_what_the_last_left<S: HubStore>(
    house: &House<S>,
    device: &Endpoint,
) {
    let first = house.opened(device, 1100, false).await;
    assert_eq!(first.subscriptions, Some(Vec::new()), "nothing, and kept");
    let names = [
        ("devices/d/messages/devicebound/#", 1),
        ("$iothub/x/\"#", 0),
    ];
    house
        .keep(device, first.epoch, &[("other", 1)])
        .await
        .expect("kept");
    house
        .keep(device, first.epoch, &names)
        .await
        .expect("in its place");
    let kept = house.kept(device).await.expect("a session");
    assert_eq!(kept.subscriptions, filters(&names));
    house.close(device, first.epoch, 1110).await.expect("ended");
    for time in [1120, 1130] {
        let next = house.opened(device, time, false).await;
        assert_eq!(next.subscriptions, Some(filters(&names)));
        assert!(next.epoch > first.epoch);
        let kept = house.kept(device).await.expect("a session");
        assert_eq!(kept.subscriptions, filters(&names));
    }
}

async fn a_clean_session_takes_and_leaves_nothing<S: HubStore>(
    house: &House<S>,
    device: &Endpoint,
) {
    let clean = house.opened(device, 1200, true).await;
    assert_eq!(clean.subscriptions, None);
    let kept = house.kept(device).await.expect("a session");
    assert!(kept.clean && kept.subscriptions.is_empty(), "{kept:?}");
    house
        .keep(device, clean.epoch, &[("x", 1)])
        .await
        .expect("kept while it lasts");
    let next = house.opened(device, 1210, false).await;
    assert_eq!(next.subscriptions, None);
    let kept = house.kept(device).await.expect("a session");
    assert!(!kept.clean && kept.subscriptions.is_empty(), "{kept:?}");
}

async fn of_two_sessions_the_later_counts<S: HubStore>(house: &House<S>, device: &Endpoint) {
    let first = house.opened(device, 1300, false).await;
    let second = house.opened(device, 1310, false).await;
    assert!(second.epoch > first.epoch);
    let displaced = Displaced {
        epoch: first.epoch,
        node: house.store.node(),
    };
    assert_eq!(second.displaced, Some(displaced));
    let before = house.kept(device).await;
    for epoch in [first.epoch, second.epoch + 1] {
        overtaken(house.close(device, epoch, 1320).await);
        overtaken(house.keep(device, epoch, &[("x", 1)]).await);
        overtaken(house.note(device, epoch, 1320).await);
    }
    assert_eq!(house.kept(device).await, before, "nothing was changed");
    house
        .close(device, second.epoch, 1330)
        .await
        .expect("ended");
    let third = house.opened(device, 1340, false).await;
    assert_eq!(third.displaced, None, "it had ended");
    overtaken(house.close(device, second.epoch, 1350).await);
    assert!(house.presence("d").await.connected);
}

async fn a_visit_is_noted_without_a_session<S: HubStore>(house: &House<S>, device: &Endpoint) {
    let visit = |endpoint: &Endpoint, time| {
        let (hub, endpoint) = (house.hub.clone(), endpoint.clone());
        house.commit(vec![HubWrite::NoteVisit(hub, endpoint, at(time))])
    };
    house.device("visitor").await;
    let visitor = Endpoint::device(device_id("visitor"));
    for (time, heard) in [(500, 500), (400, 500), (600, 600)] {
        visit(&visitor, time).await.expect("noted");
        let told = house.stored("visitor").await.presence;
        let wanted = Presence {
            last_activity: at(heard),
            ..Presence::default()
        };
        assert_eq!(told, wanted);
    }
    let opened = house.opened(&visitor, 700, false).await;
    assert_eq!((opened.subscriptions, opened.displaced), (None, None));
    // A session goes on when its endpoint also comes by another way.
    let opened = house.opened(device, 10_000, false).await;
    visit(device, 10_050).await.expect("noted");
    let told = house.stored("d").await.presence;
    assert!(
        told.connected && told.last_activity == at(10_050),
        "{told:?}"
    );
    house
        .close(device, opened.epoch, 10_060)
        .await
        .expect("ended");
    let nobody = Endpoint::device(device_id("nobody"));
    let refused = visit(&nobody, 500).await;
    assert!(
        matches!(refused, Err(CommitError::Absent(_))),
        "{refused:?}"
    );
}

async fn nobody_who_is_not_there_has_a_session<S: HubStore>(house: &House<S>) {
    let nobody = Endpoint::device(device_id("nobody"));
    let no_module = Endpoint {
        device: device_id("d"),
        module: Some(module_id("none")),
    };
    for endpoint in [nobody, no_module] {
        let refused = house.open(&endpoint, 1400, false).await;
        assert!(
            matches!(refused, Err(CommitError::Absent(_))),
            "{refused:?}"
        );
        let refused = house.close(&endpoint, 1, 1400).await;
        assert!(
            matches!(refused, Err(CommitError::Absent(_))),
            "{refused:?}"
        );
        assert_eq!(house.kept(&endpoint).await, None);
    }
}

async fn connected_devices_are_counted_without_modules<S: HubStore>(house: &House<S>) {
    assert_eq!(house.connected().await, 1, "d");
    for id in ["e", "f"] {
        house.device(id).await;
    }
    let module = house.module_of("e").await;
    house.opened(&module, 1500, false).await;
    assert_eq!(house.connected().await, 1);
    assert!(!house.presence("e").await.connected);
    let m = module_id("m");
    let read = house.store.module(&house.hub, &module.device, &m);
    let read = read.await.expect("reads").expect("a module");
    assert!(read.presence.connected);
    assert_eq!(read.presence.connected_changed, at(1500));
    let f = Endpoint::device(device_id("f"));
    let opened = house.opened(&f, 1510, false).await;
    assert_eq!(house.connected().await, 2);
    house.close(&f, opened.epoch, 1520).await.expect("ended");
    assert_eq!(house.connected().await, 1);
    let ended = house.store.close_lost_sessions(at(1530), 10).await;
    assert_eq!(ended, Ok(0), "this server is not gone");
}

async fn a_session_shares_the_fate_of_its_change<S: HubStore>(house: &House<S>, device: &Endpoint) {
    let before = house.kept(device).await;
    let new = NewSession {
        opened: at(1600),
        clean: true,
    };
    let open = HubWrite::OpenSession(house.hub.clone(), device.clone(), new);
    let stored = house.stored("d").await;
    let put = HubWrite::PutDevice(house.hub.clone(), Box::new(stored), HubExpect::Absent);
    let refused = house.store.carry_out(Change::of_hub(vec![open, put])).await;
    assert!(
        matches!(refused, Err(CommitError::Exists(_))),
        "{refused:?}"
    );
    assert_eq!(house.kept(device).await, before);
}

async fn no_epoch_comes_back_with_the_name<S: HubStore>(house: &House<S>, device: &Endpoint) {
    let module = house.module_of("d").await;
    for endpoint in [device, &module] {
        for _ in 0..20 {
            house.opened(endpoint, 1700, false).await;
        }
    }
    let old = house.kept(device).await.expect("a session").epoch;
    let old_module = house.kept(&module).await.expect("a session").epoch;
    let delete = HubWrite::DeleteDevice(house.hub.clone(), device_id("d"), HubExpect::Anything);
    house.commit(vec![delete]).await.expect("removed");
    for endpoint in [device, &module] {
        assert_eq!(house.kept(endpoint).await, None);
    }
    house.device("d").await;
    assert_eq!(house.module_of("d").await, module);
    assert_eq!(house.presence("d").await, Presence::default());
    let again = house.opened(device, 1710, false).await;
    assert!(again.epoch > old.max(old_module), "{again:?} after {old}");
    assert_eq!(again.subscriptions, None, "another device of that name");
    let again = house.opened(&module, 1710, false).await;
    assert!(again.epoch > old_module, "{again:?} after {old_module}");
    // Of a module that goes by itself, and of a hub that goes as a whole.
    for _ in 0..20 {
        house.opened(&module, 1720, false).await;
    }
    let old = house.kept(&module).await.expect("a session").epoch;
    let (hub, m) = (house.hub.clone(), module_id("m"));
    let delete = HubWrite::DeleteModule(hub, device_id("d"), m, HubExpect::Anything);
    house.commit(vec![delete]).await.expect("removed");
    house.module_of("d").await;
    let again = house.opened(&module, 1730, false).await;
    assert!(again.epoch > old, "{again:?} after {old}");
    for _ in 0..20 {
        house.opened(device, 1740, false).await;
    }
    let old = house.kept(device).await.expect("a session").epoch;
    let record = house.store.hub(&house.hub).await.expect("reads");
    let delete = HubWrite::DeleteHub(house.hub.clone(), HubExpect::Anything);
    house.commit(vec![delete]).await.expect("removed");
    let record = Box::new(record.expect("a hub"));
    let put = HubWrite::PutHub(record, HubExpect::Absent);
    house.commit(vec![put]).await.expect("made anew");
    house.device("d").await;
    let again = house.opened(device, 1750, false).await;
    assert!(again.epoch > old, "{again:?} after {old}");
}
