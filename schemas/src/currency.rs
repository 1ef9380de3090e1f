//! Minor units of currencies (ISO 4217, list one).

/// Currencies whose amounts have other than two decimals; all others have two.
const OTHER: [(&str, u32); 26] = [
    ("BHD", 3),
    ("BIF", 0),
    ("CLF", 4),
    ("CLP", 0),
    ("DJF", 0),
    ("GNF", 0),
    ("IQD", 3),
    ("ISK", 0),
    ("JOD", 3),
    ("JPY", 0),
    ("KMF", 0),
    ("KRW", 0),
    ("KWD", 3),
    ("LYD", 3),
    ("OMR", 3),
    ("PYG", 0),
    ("RWF", 0),
    ("TND", 3),
    ("UGX", 0),
    ("UYI", 0),
    ("UYW", 4),
    ("VND", 0),
    ("VUV", 0),
    ("XAF", 0),
    ("XOF", 0),
    ("XPF", 0),
];

/// How many decimals an amount of that currency has; none of what is no currency, such as points.
///
/// Any three capital letters count as a currency: one that is new has two decimals, as nearly all have.
pub fn minor_units(currency: &str) -> Option<u32> {
    let is_code = currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_uppercase());
    if !is_code {
        return None;
    }
    let found = OTHER.iter().find(|(code, _)| *code == currency);
    Some(found.map_or(2, |(_, units)| *units))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn currencies_have_the_decimals_of_the_standard() {
        for (currency, units) in [
            ("USD", Some(2)),
            ("EUR", Some(2)),
            ("JPY", Some(0)),
            ("KWD", Some(3)),
            ("CLF", Some(4)),
            ("points", None),
            ("usd", None),
            ("", None),
        ] {
            assert_eq!(minor_units(currency), units, "{currency}");
        }
        assert!(OTHER.is_sorted());
    }
}
