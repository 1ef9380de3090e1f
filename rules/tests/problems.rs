//! What is said of a broken pattern of each kind.

use rules::limits::{MAX_CONDITIONS, MAX_DEPTH, MAX_LIST, MAX_PROBLEMS};
use rules::{Pattern, PatternErrors, Problem};
use serde_json::{Value, json};

fn errors(pattern: &Value) -> PatternErrors {
    Pattern::parse(pattern).expect_err("the pattern is broken")
}

/// Each pattern and, below it, what is wrong with it.
fn report(patterns: &[Value]) -> String {
    let lines = patterns.iter().map(|pattern| {
        let errors = errors(pattern).to_string().replace('\n', "\n  ");
        format!("{pattern}\n  {errors}\n")
    });
    lines.collect()
}

#[test]
fn the_form_of_a_pattern() {
    let patterns = [
        json!(["purchase"]),
        json!({}),
        json!({"payload": {}}),
        json!({"event_type": "purchase"}),
        json!({"payload": {"amount": 50}}),
        json!({"payload": {"amount": null, "country": true}}),
        json!({"country": []}),
        json!({"country": [["US", "CA"]]}),
        json!({"payload.amount": [50]}),
        json!({"odd name": {"": 1}, "a.b": {"é-2": 1}}),
    ];
    insta::assert_snapshot!(report(&patterns), @r####"
    ["purchase"]
      when: a pattern is an object such as {"event_type": ["purchase"]}; this is a list
    {}
      when: the object is empty; name a field and its alternatives, as {"amount": [50]}
    {"payload":{}}
      payload: the object is empty; name a field and its alternatives, as {"amount": [50]}
    {"event_type":"purchase"}
      event_type: a field takes a list of alternatives; this is a string, write ["purchase"]
    {"payload":{"amount":50}}
      payload.amount: a field takes a list of alternatives; this is a number, write [50]
    {"payload":{"amount":null,"country":true}}
      payload.amount: a field takes a list of alternatives; this is null, write [null]
      payload.country: a field takes a list of alternatives; this is a boolean, write [true]
    {"country":[]}
      country: the list is empty and can never be met; write at least one entry, as ["US"]
    {"country":[["US","CA"]]}
      country[0]: an alternative is a value or an operator, not a list; write all of them in one list
    {"payload.amount":[50]}
      ["payload.amount"]: fields are nested, not dotted; write {"payload": {"amount": …}}
    {"a.b":{"é-2":1},"odd name":{"":1}}
      ["a.b"].é-2: a field takes a list of alternatives; this is a number, write [1]
      ["odd name"][""]: a field takes a list of alternatives; this is a number, write [1]
    "####);
}

#[test]
fn operators() {
    let patterns = [
        json!({"payload": {"coupon": [{"prefx": "SPRING"}]}}),
        json!({"country": ["US", {"not": "CA"}]}),
        json!({"country": [{"$regex": "U.*"}]}),
        json!({"country": [{}]}),
        json!({"country": [{"prefix": "U", "suffix": "S"}]}),
        json!({"payload": {"amount": {"numeric": [">=", 50]}}}),
        json!({"coupon": {"prefix": "SPRING"}}),
        json!({"channel": {"anything-but": ["app"]}}),
        json!({"coupon": [{"exactly": 5}]}),
        json!({"coupon": [{"prefix": 5}, {"suffix": ["a"]}]}),
        json!({"coupon": [{"prefix": {"wildcard": "a*"}}, {"suffix": {}}, {"prefix": {"equals-ignore-case": null}}]}),
        json!({"coupon": [{"equals-ignore-case": true}]}),
        json!({"coupon": [{"wildcard": "a**b"}, {"wildcard": "a\\b"}, {"wildcard": 1}]}),
        json!({"coupon": [{"wildcard": "*a".repeat(33)}]}),
        json!({"coupon": [{"exists": "yes"}]}),
    ];
    insta::assert_snapshot!(report(&patterns), @r####"
    {"payload":{"coupon":[{"prefx":"SPRING"}]}}
      payload.coupon[0]: there is no operator "prefx"; did you mean "prefix"? The operators are exactly, prefix, suffix, equals-ignore-case, wildcard, anything-but, numeric, cidr, exists, regexp, time, decimal, semver, contains-all, size, field
    {"country":["US",{"not":"CA"}]}
      country[1]: there is no operator "not"; did you mean "anything-but"? The operators are exactly, prefix, suffix, equals-ignore-case, wildcard, anything-but, numeric, cidr, exists, regexp, time, decimal, semver, contains-all, size, field
    {"country":[{"$regex":"U.*"}]}
      country[0]: there is no operator "$regex"; did you mean "regexp"? The operators are exactly, prefix, suffix, equals-ignore-case, wildcard, anything-but, numeric, cidr, exists, regexp, time, decimal, semver, contains-all, size, field
    {"country":[{}]}
      country[0]: an alternative that is an object holds exactly one operator; this one has nothing; write each as an alternative of its own
    {"country":[{"prefix":"U","suffix":"S"}]}
      country[0]: an alternative that is an object holds exactly one operator; this one has "prefix", "suffix"; write each as an alternative of its own
    {"payload":{"amount":{"numeric":[">=",50]}}}
      payload.amount: "numeric" is an operator and belongs in a list of alternatives: [{"numeric": …}]
    {"coupon":{"prefix":"SPRING"}}
      coupon: "prefix" is an operator and belongs in a list of alternatives: [{"prefix": …}]
    {"channel":{"anything-but":["app"]}}
      channel: "anything-but" is an operator and belongs in a list of alternatives: [{"anything-but": …}]
    {"coupon":[{"exactly":5}]}
      coupon[0]: "exactly" takes a string; this is a number
    {"coupon":[{"prefix":5},{"suffix":["a"]}]}
      coupon[0]: "prefix" takes a string, or {"equals-ignore-case": a string}; this is a number
      coupon[1]: "suffix" takes a string, or {"equals-ignore-case": a string}; this is a list
    {"coupon":[{"prefix":{"wildcard":"a*"}},{"suffix":{}},{"prefix":{"equals-ignore-case":null}}]}
      coupon[0]: "prefix" may hold "equals-ignore-case"; this holds "wildcard"
      coupon[1]: "suffix" may hold "equals-ignore-case"; this holds nothing
      coupon[2]: "equals-ignore-case" takes a string; this is null
    {"coupon":[{"equals-ignore-case":true}]}
      coupon[0]: "equals-ignore-case" takes a string; this is a boolean
    {"coupon":[{"wildcard":"a**b"},{"wildcard":"a\\b"},{"wildcard":1}]}
      coupon[0]: "wildcard" has two * beside each other at byte 2; write one
      coupon[1]: "wildcard" has a \ at byte 1 without * or \ after it; write \* for a star and \\ for a backslash ("\\*" and "\\\\" in JSON)
      coupon[2]: "wildcard" takes a string; this is a number
    {"coupon":[{"wildcard":"*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a"}]}
      coupon[0]: "wildcard" has 33 *; at most 32 are allowed
    {"coupon":[{"exists":"yes"}]}
      coupon[0]: "exists" takes true or false; this is a string
    "####);
}

#[test]
fn anything_but() {
    let patterns = [
        json!({"a": [{"anything-but": null}]}),
        json!({"a": [{"anything-but": []}]}),
        json!({"a": [{"anything-but": ["x", 1]}]}),
        json!({"a": [{"anything-but": [true]}]}),
        json!({"a": [{"anything-but": {"numeric": ["=", 1]}}]}),
        json!({"a": [{"anything-but": {"prefix": ""}}]}),
        json!({"a": [{"anything-but": {"suffix": [1]}}]}),
        json!({"a": [{"anything-but": {"wildcard": ["a", "**"]}}]}),
    ];
    insta::assert_snapshot!(report(&patterns), @r####"
    {"a":[{"anything-but":null}]}
      a[0]: "anything-but" takes a string, a number, a list of strings or of numbers, or one of "prefix", "suffix", "equals-ignore-case" and "wildcard"; this is null
    {"a":[{"anything-but":[]}]}
      a[0]: the list is empty and can never be met; write at least one entry, as ["US"]
    {"a":[{"anything-but":["x",1]}]}
      a[0]: "anything-but" takes strings or numbers, not both in one list
    {"a":[{"anything-but":[true]}]}
      a[0]: "anything-but" takes a string, a number, a list of strings or of numbers, or one of "prefix", "suffix", "equals-ignore-case" and "wildcard"; this is a boolean
    {"a":[{"anything-but":{"numeric":["=",1]}}]}
      a[0]: "anything-but" may hold one of "prefix", "suffix", "equals-ignore-case" and "wildcard"; this holds "numeric"
    {"a":[{"anything-but":{"prefix":""}}]}
      a[0]: "anything-but" with an empty "prefix" would exclude every string; write a text
    {"a":[{"anything-but":{"suffix":[1]}}]}
      a[0]: "suffix" takes a string or a list of strings; this is a number
    {"a":[{"anything-but":{"wildcard":["a","**"]}}]}
      a[0]: "wildcard" has two * beside each other at byte 1; write one
    "####);
}

#[test]
fn numeric_and_cidr() {
    let patterns = [
        json!({"a": [{"numeric": 50}]}),
        json!({"a": [{"numeric": []}]}),
        json!({"a": [{"numeric": ["=>", 50]}]}),
        json!({"a": [{"numeric": [50, ">="]}]}),
        json!({"a": [{"numeric": [">="]}]}),
        json!({"a": [{"numeric": [">=", "50"]}]}),
        json!({"a": [{"numeric": ["<", 100, ">=", 50]}]}),
        json!({"a": [{"numeric": [">", 1, "<", 5, "=", 3]}]}),
        json!({"a": [{"numeric": [">", 10, "<", 10]}]}),
        json!({"a": [{"cidr": "10.0.0.0"}, {"cidr": "10.0.0/8"}, {"cidr": "10.0.0.0/33"}, {"cidr": 10}]}),
    ];
    insta::assert_snapshot!(report(&patterns), @r####"
    {"a":[{"numeric":50}]}
      a[0]: "numeric" takes a list of a comparison and a number, as [">=", 50]; this is a number
    {"a":[{"numeric":[]}]}
      a[0]: "numeric" takes one comparison, or a range with the lower bound first, as [">=", 50, "<", 100]
    {"a":[{"numeric":["=>",50]}]}
      a[0]: "numeric" has no comparison "=>"; the comparisons are =, <, <=, > and >=
    {"a":[{"numeric":[50,">="]}]}
      a[0]: "numeric" has no comparison 50; the comparisons are =, <, <=, > and >=
    {"a":[{"numeric":[">="]}]}
      a[0]: "numeric" needs a number after ">="; there is nothing
    {"a":[{"numeric":[">=","50"]}]}
      a[0]: "numeric" needs a number after ">="; this is a string
    {"a":[{"numeric":["<",100,">=",50]}]}
      a[0]: "numeric" takes one comparison, or a range with the lower bound first, as [">=", 50, "<", 100]
    {"a":[{"numeric":[">",1,"<",5,"=",3]}]}
      a[0]: "numeric" takes one comparison, or a range with the lower bound first, as [">=", 50, "<", 100]
    {"a":[{"numeric":[">",10,"<",10]}]}
      a[0]: no number is > 10 and < 10; the lower bound must be below the upper one
    {"a":[{"cidr":"10.0.0.0"},{"cidr":"10.0.0/8"},{"cidr":"10.0.0.0/33"},{"cidr":10}]}
      a[0]: "cidr" takes a network such as 10.0.0.0/8 or 2001:db8::/32; "10.0.0.0" is none: there is no '/' with the length of the prefix; for one address write /32 or /128
      a[1]: "cidr" takes a network such as 10.0.0.0/8 or 2001:db8::/32; "10.0.0/8" is none: what stands before the '/' is no IP address
      a[2]: "cidr" takes a network such as 10.0.0.0/8 or 2001:db8::/32; "10.0.0.0/33" is none: the prefix of an IPv4 network has 0 to 32 bits
      a[3]: "cidr" takes a string; this is a number
    "####);
}

#[test]
fn or() {
    let patterns = [
        json!({"$or": []}),
        json!({"$or": [{"a": [1]}]}),
        json!({"$or": [{"a": [1]}, "b"]}),
        json!({"$or": [{"a": [1]}, {"prefix": ["x"]}]}),
        json!({"$or": [{"a": [1]}, {"b": {"exists": ["x"]}}]}),
        json!({"$or": [{"a": [1]}, {}]}),
        json!({"$or": [{"a": [1]}, {"b": 2}]}),
        json!({"a": {"b": [1]}, "$or": [{"a": [2]}, {"c": [1]}]}),
        json!({"a": [1], "$or": [{"x": [2]}, {"a": {"b": [2]}}]}),
    ];
    insta::assert_snapshot!(report(&patterns), @r####"
    {"$or":[]}
      $or: "$or" takes a list of two or more objects of fields, as [{"country": ["US"]}, {"tier": ["gold"]}]
    {"$or":[{"a":[1]}]}
      $or: "$or" takes a list of two or more objects of fields, as [{"country": ["US"]}, {"tier": ["gold"]}]
    {"$or":[{"a":[1]},"b"]}
      $or: "$or" takes a list of two or more objects of fields, as [{"country": ["US"]}, {"tier": ["gold"]}]
    {"$or":[{"a":[1]},{"prefix":["x"]}]}
      $or: "$or" takes a list of two or more objects of fields, as [{"country": ["US"]}, {"tier": ["gold"]}]; "prefix" is the name of an operator and cannot be a field there
    {"$or":[{"a":[1]},{"b":{"exists":["x"]}}]}
      $or[1].b.exists: "exists" is the name of an operator, and in an "$or" no field may be called so; move the condition out of the "$or"
    {"$or":[{"a":[1]},{}]}
      $or[1]: the object is empty; name a field and its alternatives, as {"amount": [50]}
    {"$or":[{"a":[1]},{"b":2}]}
      $or[1].b: a field takes a list of alternatives; this is a number, write [2]
    {"$or":[{"a":[2]},{"c":[1]}],"a":{"b":[1]}}
      a: the field is asked both for its value and, through "$or", for fields in it; write the two in different objects of the "$or"
    {"$or":[{"x":[2]},{"a":{"b":[2]}}],"a":[1]}
      a: the field is asked both for its value and, through "$or", for fields in it; write the two in different objects of the "$or"
    "####);
}

#[test]
fn every_problem_is_listed_with_its_place() {
    let pattern = json!({
        "event_type": "purchase",
        "payload": {"amount": [{"numerc": [">=", 50]}, {"numeric": [">="]}], "items": {"sku": []}},
        "$or": [{"country": ["US"]}, {"tier": [{"prefix": 1}]}],
    });
    let errors = errors(&pattern);
    let paths: Vec<_> = errors.iter().map(|error| error.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "$or[1].tier[0]",
            "event_type",
            "payload.amount[0]",
            "payload.amount[1]",
            "payload.items.sku",
        ]
    );
    assert_eq!(errors.further(), 0);
}

#[test]
fn problems_beyond_the_limit_are_counted() {
    let pattern = json!({"a": vec![json!([]); MAX_PROBLEMS + 5]});
    let errors = errors(&pattern);
    assert_eq!(errors.iter().count(), MAX_PROBLEMS);
    assert_eq!(errors.further(), 5);
    assert!(errors.to_string().ends_with("and 5 further problems"));
}

#[test]
fn long_texts_are_cut() {
    let long = "é".repeat(10_000);
    for pattern in [
        json!({&long: 1}),
        json!({"a": long}),
        json!({"a": [{&long: 1}]}),
        json!({"a": [{"cidr": long}]}),
        json!({"a": [{"numeric": [long, 1]}]}),
        json!({"a": [{"prefix": {&long: 1}}]}),
        json!({format!("payload.{long}"): [1]}),
    ] {
        let message = errors(&pattern).to_string();
        assert!(message.len() < 600, "{message}");
    }
}

/// The only problem of a pattern.
fn only(pattern: &Value) -> Problem {
    let errors = errors(pattern);
    let mut all = errors.iter();
    let first = all.next().unwrap().problem.clone();
    assert_eq!(all.next(), None);
    first
}

#[test]
fn what_exceeds_a_limit_is_refused() {
    let nested = |depth: usize| {
        let mut pattern = json!({"a": [1]});
        for _ in 1..depth {
            pattern = json!({"a": pattern});
        }
        pattern
    };
    assert!(Pattern::parse(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(only(&nested(MAX_DEPTH + 1)), Problem::TooDeep);
    assert_eq!(only(&nested(1_000)), Problem::TooDeep);

    let wide = |fields: usize| -> Value {
        let fields = (0..fields).map(|n| (n.to_string(), json!([1])));
        Value::Object(fields.collect())
    };
    assert!(Pattern::parse(&wide(MAX_CONDITIONS)).is_ok());
    let found = MAX_CONDITIONS + 1;
    assert_eq!(only(&wide(found)), Problem::TooManyConditions { found });

    let list = |entries: usize| vec!["x"; entries];
    let found = MAX_LIST + 1;
    for (allowed, refused) in [
        (json!({"a": list(MAX_LIST)}), json!({"a": list(found)})),
        (
            json!({"a": [{"anything-but": list(MAX_LIST)}]}),
            json!({"a": [{"anything-but": list(found)}]}),
        ),
        (
            json!({"a": [{"anything-but": {"prefix": list(MAX_LIST)}}]}),
            json!({"a": [{"anything-but": {"prefix": list(found)}}]}),
        ),
    ] {
        assert!(Pattern::parse(&allowed).is_ok());
        assert_eq!(only(&refused), Problem::ListTooLong { found });
    }
    let objects = vec![json!({"a": [1]}); found];
    assert_eq!(
        only(&json!({"$or": objects})),
        Problem::ListTooLong { found }
    );
}

#[test]
fn what_ors_make_together_is_limited() {
    let or = |name: &str, objects: usize| -> Value {
        (0..objects).map(|n| json!({name: [n]})).collect()
    };
    let pattern = |each: usize| json!({"$or": or("a", each), "p": {"$or": or("b", 10)}});
    assert!(Pattern::parse(&pattern(100)).is_ok());
    assert_eq!(
        only(&pattern(101)),
        Problem::TooManyConjunctions {
            conjunctions: 1_010,
            conditions: 2_020
        }
    );
    assert_eq!(
        errors(&pattern(101)).to_string(),
        "when: the objects of \"$or\" multiply to 1010 conjunctions with 2020 conditions; at most 1000 \
         and 20000 are allowed, make it several campaigns"
    );
}
