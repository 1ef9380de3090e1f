//! What is strange in a reward.

use schemas::{Reward, RewardAmount, RewardKind};

use super::{Asked, asked};
use crate::check::CampaignProblem;
use crate::pattern::Pattern;
use crate::reward::{Worth, pointer};

/// Nothing of a reward that does not compile. `place` is the pointer of what has it: the campaign, or one of its variants.
pub(super) fn of(reward: &Reward, place: &str, pattern: &Pattern) -> Vec<CampaignProblem> {
    let mut warnings = needed(reward, pattern);
    warnings.extend(unknown_kind(reward));
    warnings.extend(parts_of_a_minor_unit(reward));
    for warning in &mut warnings {
        warning.pointer.insert_str(0, place);
    }
    warnings
}

fn unknown_kind(reward: &Reward) -> Option<CampaignProblem> {
    let kind = &reward.kind;
    if RewardKind::of(kind).is_some() {
        return None;
    }
    let known = RewardKind::ALL.map(RewardKind::as_str).join(", ");
    let detail = format!(
        "{kind:?} is none of the kinds whose form is checked ({known}); the reward service must know what it means, and \
         custom says so"
    );
    let pointer = "/reward/kind";
    Some(CampaignProblem::warning("unknown-kind", pointer, detail))
}

/// An amount that nobody can pay; what an expression comes to is rounded.
fn parts_of_a_minor_unit(reward: &Reward) -> Option<CampaignProblem> {
    let Some(RewardAmount::Exact(amount)) = &reward.amount else {
        return None;
    };
    let units = reward.minor_units()?;
    if amount.decimal().normalize().scale() <= units {
        return None;
    }
    let currency = reward.currency.as_deref().unwrap_or_default();
    let detail = format!("{amount} has more decimals than {currency} has, which is {units}");
    let pointer = "/reward/amount";
    Some(CampaignProblem::warning("decimals", pointer, detail))
}

/// Fields that a reward cannot do without, and that some event may win without.
fn needed(reward: &Reward, pattern: &Pattern) -> Vec<CampaignProblem> {
    let Ok(worth) = Worth::compile(reward) else {
        return Vec::new();
    };
    let ways: Vec<Vec<Asked<'_>>> = (pattern.conjunctions().iter())
        .map(|conjunction| {
            let mut all = Vec::new();
            asked(&conjunction.fields, &[], &mut all);
            all
        })
        .collect();
    let mut warnings = Vec::new();
    for (field, expression) in worth.expressions() {
        for needed in expression.needed_fields() {
            let steps = needed.steps();
            let is_asked = |way: &Vec<Asked<'_>>| {
                way.iter().any(|(path, conditions)| {
                    let is_it = path.len() == steps.len()
                        && path.iter().zip(steps).all(|(a, b)| **a == **b);
                    is_it
                        && conditions
                            .iter()
                            .any(|condition| !condition.allows_absence())
                })
            };
            if !ways.iter().all(is_asked) {
                let detail = format!(
                    "an event without {needed} does not win, though \"when\" does not ask for it; ask for it there, or write \
                     default({needed}, 0)"
                );
                let pointer = pointer(field);
                let warning = CampaignProblem::warning("reward-field-not-asked", pointer, detail);
                if !warnings.contains(&warning) {
                    warnings.push(warning);
                }
            }
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    fn codes(when: &Json, reward: &Json) -> Vec<String> {
        let document = json!({"id": "c", "name": "c", "when": when, "reward": reward});
        let rule = crate::check::campaign(&document).unwrap();
        let warnings = crate::check::warnings(&rule.campaign()).into_iter();
        warnings
            .map(|warning| format!("{} {}", warning.code.unwrap_or_default(), warning.pointer))
            .collect()
    }

    fn amount(when: &Json, amount: &str) -> Vec<String> {
        codes(when, &json!({"kind": "credit", "amount": amount}))
    }

    #[test]
    fn a_reward_asks_for_its_fields() {
        let when = json!({"event_type": ["t"], "payload": {"amount": [{"numeric": [">", 0]}]}});
        let strange = ["reward-field-not-asked /reward/amount"];
        assert!(amount(&when, "payload.amount * 2").is_empty());
        assert_eq!(amount(&when, "payload.amuont * 2"), strange);
        assert!(amount(&when, "default(payload.amuont, 2)").is_empty());
        assert!(amount(&when, "payload.amount > 5 ? payload.bonus : 1").is_empty());
        let either = json!({"event_type": ["t"], "$or": [{"payload": {"amount": [5]}}, {"country": ["US"]}]});
        assert_eq!(amount(&either, "payload.amount"), strange);
    }

    #[test]
    fn kinds_that_nobody_knows_and_amounts_that_nobody_can_pay_are_told() {
        let told = |reward: Json| codes(&json!({"event_type": ["t"]}), &reward).join(", ");
        assert_eq!(
            told(json!({"kind": "credti", "amount": 5})),
            "unknown-kind /reward/kind"
        );
        assert_eq!(told(json!({"kind": "custom"})), "");
        let money = |amount: &str, currency| {
            told(json!({"kind": "credit", "amount": amount, "currency": currency}))
        };
        assert_eq!(money("10.005", "USD"), "decimals /reward/amount");
        assert_eq!(money("10.000", "USD"), "");
        assert_eq!(money("10.5", "JPY"), "decimals /reward/amount");
        assert_eq!(money("10.0005", "miles"), "");
        assert_eq!(money("2 * 5.0025", "USD"), "", "it is rounded");
    }
}
