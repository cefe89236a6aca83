//! What an earlier agent left is taken for what it is.

use super::*;
use crate::report::samples;

const KEY: ProcessKey = ProcessKey { pid: 7, start_boot_ns: 10_000_000 };

fn noted(ids: &[(&str, bool)]) -> Persist {
    let ids = ids.iter().map(|(id, survived)| ((*id).to_owned(), *survived)).collect();
    Persist { ids: HashMap::from([(KEY, ids)]), ..Persist::default() }
}

#[test]
fn an_id_is_that_of_what_closed() {
    let mut persist = noted(&[("lived", true), ("again", true), ("died", false)]);
    // What it survived is not known any more: its end has an id of its own all the same.
    assert_eq!(persist.id(KEY, false).as_deref(), Some("died"));
    assert_eq!(persist.id(KEY, false), None);
    persist.forget_id(KEY, "lived");
    assert_eq!(persist.id(KEY, true).as_deref(), Some("again"));
    assert_eq!(persist.id(KEY, true), None);
}

#[test]
fn what_was_open_is_that_of_its_own_requests() {
    let sample = samples::pkill().facts;
    let asked = |boot_ns| Signal { boot_ns, last_boot_ns: None, ..sample.signals[0].clone() };
    let open = || {
        let facts = Facts { id: "open".to_owned(), signals: vec![asked(20), asked(40)], ..sample.clone() };
        HashMap::from([(KEY, facts)])
    };
    let mut persist = Persist { open: open(), ..noted(&[("lived", true)]) };
    assert!(persist.take_open(KEY, 20).is_none(), "it closes under another id");
    persist.forget_id(KEY, "lived");
    assert!(persist.take_open(KEY, 30).is_none(), "it came since");
    assert_eq!(persist.take_open(KEY, 40).map(|facts| facts.id).as_deref(), Some("open"));
    assert!(persist.take_open(KEY, 40).is_none(), "there is one");
    let mut persist = Persist { open: open(), ..noted(&[("open", true)]) };
    assert!(persist.take_open(KEY, 20).is_some(), "it closes under this id");
}
