//! Who has a seat, who is told what, and who is called.

use std::time::Duration;

use landfall_core::document::Document;
use landfall_core::id::{DeviceId, ModuleId};

use super::*;

fn hub() -> HubHostName {
    HubHostName::parse("my.hub").expect("a name")
}

fn device(id: &str) -> Endpoint {
    Endpoint::device(DeviceId::parse(id).expect("an id"))
}

/// How many have a seat.
fn seats(relay: &Relay) -> usize {
    relay.lock().taken.len()
}

fn call(connect_within: Duration) -> MethodCall {
    MethodCall {
        name: "reboot".to_owned(),
        payload: Document::empty_object(),
        response_within: Duration::from_secs(30),
        connect_within,
    }
}

#[tokio::test]
async fn whoever_comes_anew_takes_the_seat() {
    let relay = Arc::<Relay>::default();
    let mut first = relay.seat(&hub(), &device("d"));
    let mut second = relay.seat(&hub(), &device("d"));
    assert!(first.inbox.recv().await.is_none(), "dismissed");
    drop(first);
    relay.push(
        &hub(),
        &device("d"),
        Push::Desired(Box::new((7, "{}".to_owned()))),
    );
    let push = second.inbox.recv().await;
    assert!(
        matches!(push, Some(Push::Desired(told)) if told.0 == 7),
        "the old one's end left the new one its seat"
    );
    assert_eq!(seats(&relay), 1);
    drop(second);
    assert_eq!(seats(&relay), 0);
}

#[tokio::test]
async fn a_session_that_takes_nothing_is_dismissed() {
    let relay = Arc::<Relay>::default();
    let mut seated = relay.seat(&hub(), &device("d"));
    for version in 0..=64 {
        relay.push(
            &hub(),
            &device("d"),
            Push::Desired(Box::new((version, String::new()))),
        );
    }
    assert_eq!(seats(&relay), 0);
    let mut taken = 0;
    while seated.inbox.recv().await.is_some() {
        taken += 1;
    }
    assert_eq!(taken, WAITING);
}

#[tokio::test]
async fn modules_go_with_their_device_and_nobody_else_does() {
    let relay = Arc::<Relay>::default();
    let module = Endpoint {
        module: Some(ModuleId::parse("m").expect("an id")),
        ..device("d")
    };
    let other = HubHostName::parse("other.hub").expect("a name");
    let mut gone = [
        relay.seat(&hub(), &device("d")),
        relay.seat(&hub(), &module),
    ];
    let mut stay = [
        relay.seat(&hub(), &device("e")),
        relay.seat(&other, &device("d")),
    ];
    relay.dismiss(&hub(), &device("d"));
    for seated in &mut gone {
        assert!(seated.inbox.recv().await.is_none());
    }
    for seated in &mut stay {
        assert!(
            seated
                .inbox
                .try_recv()
                .is_err_and(|error| error == mpsc::error::TryRecvError::Empty)
        );
    }
    let mut alone = relay.seat(&hub(), &device("d"));
    let _module = relay.seat(&hub(), &module);
    relay.dismiss(&hub(), &module);
    assert!(
        alone
            .inbox
            .try_recv()
            .is_err_and(|error| error == mpsc::error::TryRecvError::Empty)
    );
}

#[tokio::test]
async fn a_method_waits_for_whoever_takes_methods() {
    let relay = Arc::<Relay>::default();
    let nobody = relay.call(&hub(), &device("d"), call(Duration::ZERO)).await;
    assert!(matches!(nobody, Err(HubError::NotOnline(_))));
    let mut seated = relay.seat(&hub(), &device("d"));
    let deaf = relay.call(&hub(), &device("d"), call(Duration::ZERO)).await;
    assert!(matches!(deaf, Err(HubError::NotOnline(_))));
    let (hub, device) = (hub(), device("d"));
    let called = relay.call(&hub, &device, call(Duration::from_secs(30)));
    let carried_out = async {
        tokio::task::yield_now().await;
        seated.takes_methods(true);
        let Some(Push::Method(called)) = seated.inbox.recv().await else {
            panic!("a method");
        };
        assert_eq!(
            (called.name.as_str(), called.payload.as_str()),
            ("reboot", "{}")
        );
        called
            .answer
            .send((200, Bytes::from_static(b"1")))
            .expect("awaited");
    };
    let (answer, ()) = tokio::join!(called, carried_out);
    assert_eq!(answer, Ok((200, Bytes::from_static(b"1"))));
}

#[tokio::test]
async fn a_session_that_goes_while_it_is_called_gives_no_answer() {
    let relay = Arc::<Relay>::default();
    let mut seated = relay.seat(&hub(), &device("d"));
    seated.takes_methods(true);
    let (hub, device) = (hub(), device("d"));
    let called = relay.call(&hub, &device, call(Duration::ZERO));
    let goes = async {
        drop(seated.inbox.recv().await);
        drop(seated);
    };
    let (answer, ()) = tokio::join!(called, goes);
    assert!(matches!(answer, Err(HubError::NoAnswer(_))), "{answer:?}");
}

#[tokio::test]
async fn an_end_elsewhere_reaches_the_session_it_is_for_and_no_later_one() {
    let relay = Arc::<Relay>::default();
    let mut seated = relay.seat(&hub(), &device("d"));
    let is_there = |seated: &mut Seated| {
        let waits = seated.inbox.try_recv();
        waits.is_err_and(|error| error == mpsc::error::TryRecvError::Empty)
    };
    relay.dismiss_up_to(&hub(), &device("d"), 5);
    assert!(is_there(&mut seated), "it is still to be opened");
    seated.opened(6);
    relay.dismiss_up_to(&hub(), &device("d"), 5);
    relay.dismiss_up_to(&hub(), &device("e"), 9);
    assert!(is_there(&mut seated));
    relay.dismiss_up_to(&hub(), &device("d"), 6);
    assert!(seated.inbox.recv().await.is_none());
    assert_eq!(seated.dismissal(), Dismissal::EndedElsewhere);
    assert_eq!(seats(&relay), 0);
}

#[tokio::test]
async fn the_first_reason_of_a_dismissal_stands() {
    let relay = Arc::<Relay>::default();
    let first = relay.seat(&hub(), &device("d"));
    let second = relay.seat(&hub(), &device("d"));
    relay.dismiss(&hub(), &device("d"));
    assert_eq!(first.dismissal(), Dismissal::Displaced);
    assert_eq!(second.dismissal(), Dismissal::Changed);
}
