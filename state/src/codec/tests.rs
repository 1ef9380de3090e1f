use jiff::Timestamp;
use rules::history::Taken as Returned;
use rust_decimal::Decimal;
use schemas::Counted;

use super::*;
use crate::customer::Seen;
use crate::memory::{Memory, Sum};
use crate::open::{Budgeted, EarlyReturn, OpenMatch, Returnable};

/// A customer as the first release wrote it: one event seen, a sum over all time, and an event that waits.
const FIRST_RELEASE: &[u8] = &[
    1, 10, 200, 1, // version, stale, due
    1, 10, 7, 0, 0, 0, 0, 0, 0, 0, // seen
    1, 9, 0, 0, 0, 0, 0, 0, 0, 10, 2, 0, 2, 1, 10, 1, 50, 1, 50, 1, 50, // memories
    1, 200, 1, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6, 3, b't', b'e', b'n', 1, b'e', 1, b't', 0, 0, 0,
];

fn open() -> OpenMatch {
    OpenMatch {
        campaign_id: "ten".into(),
        campaign_version: 3,
        campaigns_offset: -1,
        event_id: "e".into(),
        event_type: "t".into(),
        occurred_at: Timestamp::new(1, 5).unwrap(),
        offset: 7,
        matched_at: 1_001,
        reward: "{}".into(),
        amount: Some(Decimal::new(1000, 2)),
        confirm_at: Some(2_000),
        confirmed_at: None,
        returns: Some(Returnable {
            identity: 1,
            tie: 2,
            within: 3,
            original: Decimal::from(75),
            returned: Decimal::from(25),
            decimals: 2,
            counted: vec![(4, 5), (6, -7)],
        }),
        reversed: Decimal::new(333, 2),
        is_reversed: false,
        budget: None,
        variant: None,
    }
}

/// Checks that a customer is written in that version, and read as they are from all of it alone.
fn comes_back(customer: &Customer, version: u8) -> Vec<u8> {
    let mut written = Vec::new();
    write(customer, &mut written);
    assert_eq!(written[0], version);
    assert_eq!(read(&written).unwrap(), *customer);
    for end in 0..written.len() {
        assert!(matches!(
            read(&written[..end]),
            Err(StateError::Broken { .. })
        ));
    }
    written
}

#[test]
fn what_the_first_release_wrote_is_read_and_written_as_it_was() {
    let customer = read(FIRST_RELEASE).unwrap();
    assert_eq!(customer.seen, [Seen { at: 5, hash: 7 }]);
    let sum = Sum {
        count: 1,
        last: 5,
        sum: Decimal::new(25, 1),
        min: Decimal::new(25, 1),
        max: Decimal::new(25, 1),
    };
    assert_eq!(customer.memory(9), Some(&Memory::Total(sum)));
    assert_eq!(customer.waiting()[0].campaign_id, "ten".into());
    assert!(customer.is_final());
    let mut written = Vec::new();
    write(&customer, &mut written);
    assert_eq!(written, FIRST_RELEASE);
}

#[test]
fn matches_that_are_not_final_come_back_and_nothing_is_read_of_a_part() {
    let mut customer = read(FIRST_RELEASE).unwrap();
    customer.open = vec![
        open(),
        OpenMatch {
            amount: None,
            confirm_at: None,
            returns: None,
            is_reversed: true,
            ..open()
        },
    ];
    for taken in [Returned::Whole, Returned::Part(Decimal::new(5, 1))] {
        customer.early.push(EarlyReturn {
            identity: 1,
            tie: 2,
            within: 3,
            event_id: "r".into(),
            event_type: "refund".into(),
            occurred_at: Timestamp::new(-1, -5).unwrap(),
            offset: 8,
            taken,
            has_found: false,
        });
    }
    let mut written = comes_back(&customer, 2);
    assert_eq!(due(&written), Ok(Some(100)));
    written[0] = 4;
    assert_eq!(read(&written), Err(StateError::Version(4)));
}

#[test]
fn what_the_settler_has_to_say_comes_back_and_who_has_nothing_of_it_is_written_as_before() {
    let mut customer = read(FIRST_RELEASE).unwrap();
    let counted = |by: Option<&str>, value: Option<&str>, period| Counted {
        identity: 9,
        by: by.map(Into::into),
        value: value.map(Into::into),
        period,
    };
    let granted = Budgeted::Granted {
        claim: 41,
        counted: vec![
            counted(None, None, None),
            counted(Some("payload.store"), None, Some(-86_400_000)),
            counted(Some("payload.store"), Some("x"), Some(0)),
        ],
    };
    for budget in [Budgeted::Asked, granted] {
        customer.open.push(OpenMatch {
            budget: Some(budget),
            ..open()
        });
    }
    customer.open.push(open());
    customer.early.push(EarlyReturn {
        identity: 1,
        tie: 2,
        within: 3,
        event_id: "r".into(),
        event_type: "refund".into(),
        occurred_at: Timestamp::UNIX_EPOCH,
        offset: 8,
        taken: Returned::Whole,
        has_found: true,
    });
    comes_back(&customer, 3);
}

#[test]
fn a_variant_comes_back_and_costs_a_version_only_where_there_is_one() {
    let mut customer = read(FIRST_RELEASE).unwrap();
    let variant = Some("double".into());
    customer.open = vec![open(), OpenMatch { variant, ..open() }];
    comes_back(&customer, 3);
}

#[test]
fn codes_of_a_pool_come_back_and_are_of_the_version_that_knows_them() {
    let mut block = Customer::default();
    let codes = || Memory::Codes(vec!["A-1".into(), "Ü".into()]);
    block.memory_mut(9, 0, crate::customer::Retention::Ever, codes);
    comes_back(&block, 3);
}
