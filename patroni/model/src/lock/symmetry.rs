//! Members differ in nothing but their number, so of all states that differ only in the numbers one is checked.

use super::state::{Id, Member, RequestKind, State};

/// The least of the states that result from other numbers.
pub fn representative<const N: usize>(state: &State<N>) -> State<N> {
    let mut best = state.clone();
    let mut order: [Id; N] = std::array::from_fn(|id| u8::try_from(id).unwrap_or(Id::MAX));
    permutations(&mut order, 0, &mut |order| {
        let other = renumbered(state, order);
        if other < best {
            best = other;
        }
    });
    best
}

/// `order[new]` is the old number.
fn renumbered<const N: usize>(state: &State<N>, order: &[Id; N]) -> State<N> {
    let new = |old: usize| order.iter().position(|it| usize::from(*it) == old).unwrap_or(old);
    let new_id = |old: Id| u8::try_from(new(old.into())).unwrap_or(old);
    let member = |new: usize| -> Member {
        let mut member = state.members[usize::from(order[new])].clone();
        if let Some(request) = &mut member.request
            && let RequestKind::Failsafe { accepted } = &mut request.kind
        {
            *accepted = (0..N).filter(|old| *accepted >> old & 1 == 1).map(|old| 1 << bit(new_id, old)).sum();
        }
        member
    };
    State {
        holder: state.holder.map(new_id),
        members: std::array::from_fn(member),
        refused_start: state.refused_start,
    }
}

fn bit(new_id: impl Fn(Id) -> Id, old: usize) -> Id {
    new_id(u8::try_from(old).unwrap_or(Id::MAX))
}

/// Calls `found` with every order of what follows `fixed`.
fn permutations<const N: usize>(order: &mut [Id; N], fixed: usize, found: &mut impl FnMut(&[Id; N])) {
    if fixed == N {
        found(order);
        return;
    }
    for other in fixed..N {
        order.swap(fixed, other);
        permutations(order, fixed + 1, found);
        order.swap(fixed, other);
    }
}
