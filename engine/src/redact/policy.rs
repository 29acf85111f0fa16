//! What a receiver is shown.

use watershed_schemas::Plane;

use super::Class;

/// What an installation says of one receiver beyond the default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Classes that it is shown, on both planes.
    pub show: Vec<Class>,
    /// Classes that it is not shown, on both planes.
    pub hide: Vec<Class>,
}

/// The classes of each plane's events that a receiver is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    shown: [[bool; Class::ALL.len()]; 2],
}

impl Policy {
    /// What a receiver that may show the evidence of these planes sees unless somebody says otherwise.
    ///
    /// - A receiver of the model plane alone sees prompts, arguments, results and the people that they name; no address and
    ///   no device, not even of its own plane.
    /// - A receiver of the access plane alone sees addresses, devices and names of people; no prompt, arguments or result.
    /// - A receiver of both planes sees all of these, of both planes.
    /// - Of a plane that is not its own a receiver sees none of them; one without a plane sees none at all.
    ///
    /// Secrets are shown to nobody.
    pub fn of(planes: &[Plane]) -> Self {
        let own = |plane: Plane, class: Class| {
            let answers_for = |plane| planes.contains(&plane);
            answers_for(plane)
                && match class {
                    Class::Prompt | Class::Arguments | Class::Result => answers_for(Plane::Model),
                    Class::Address | Class::Device => answers_for(Plane::Access),
                    Class::Personal => true,
                    Class::Secret => false,
                }
        };
        Policy { shown: Plane::ALL.map(|plane| Class::ALL.map(|class| own(plane, class))) }
    }

    /// The same with what an installation says of the receiver. Secrets stay hidden.
    #[must_use]
    pub fn with(mut self, overrides: &Overrides) -> Self {
        for shown in &mut self.shown {
            for class in &overrides.show {
                shown[*class as usize] = *class != Class::Secret;
            }
            for class in &overrides.hide {
                shown[*class as usize] = false;
            }
        }
        self
    }

    /// Whether the class is shown where an event of this plane holds it.
    pub fn shows(&self, plane: Plane, class: Class) -> bool {
        self.shown[plane.index()][class as usize]
    }
}

/// What a receiver may see: of which planes, and which classes of their fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// The planes whose evidence it may see.
    pub planes: Vec<Plane>,
    /// The classes.
    pub policy: Policy,
}

impl Sight {
    /// Of a receiver of these planes unless somebody says otherwise.
    pub fn of(planes: &[Plane]) -> Self {
        Sight { planes: planes.to_vec(), policy: Policy::of(planes) }
    }

    /// Whether it may see all that the other may.
    pub fn covers(&self, other: &Sight) -> bool {
        let shows = |plane: Plane, class| self.policy.shows(plane, class) || !other.policy.shows(plane, class);
        other.planes.iter().all(|plane| self.planes.contains(plane))
            && Plane::ALL.into_iter().all(|plane| Class::ALL.into_iter().all(|class| shows(plane, class)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Per plane of the event the classes that are shown.
    fn shown(policy: Policy) -> [String; 2] {
        Plane::ALL.map(|plane| {
            let classes = Class::ALL.into_iter().filter(|class| policy.shows(plane, *class));
            classes.map(Class::name).collect::<Vec<_>>().join(" ")
        })
    }

    #[test]
    fn each_team_sees_its_own_plane_and_what_it_answers_for() {
        use Plane::{Access, Model};
        let cases = [
            (&[Model][..], ["prompt arguments result personal", ""]),
            (&[Access], ["", "address device personal"]),
            (&[Model, Access], ["prompt arguments result address device personal"; 2]),
            (&[], ["", ""]),
        ];
        for (planes, expected) in cases {
            assert_eq!(shown(Policy::of(planes)), expected, "{planes:?}");
        }
    }

    #[test]
    fn who_may_see_one_class_less_does_not_see_all_that_another_may() {
        use Plane::{Access, Model};
        let covers = |a: &[Plane], b: &[Plane]| Sight::of(a).covers(&Sight::of(b));
        assert!(covers(&[Model], &[Model]) && covers(&[Model, Access], &[Access]) && covers(&[], &[]));
        assert!(!covers(&[Access], &[Model]) && !covers(&[], &[Model]) && !covers(&[Model], &[Model, Access]));
        let hiding = Overrides { hide: vec![Class::Prompt], ..Overrides::default() };
        let hiding = Sight { policy: Policy::of(&[Model]).with(&hiding), ..Sight::of(&[Model]) };
        assert!(!hiding.covers(&Sight::of(&[Model])) && Sight::of(&[Model]).covers(&hiding));
    }

    #[test]
    fn hiding_beats_showing_and_nothing_shows_a_secret() {
        let overrides = Overrides { show: Class::ALL.to_vec(), hide: vec![Class::Device] };
        let all = "prompt arguments result address personal";
        assert_eq!(shown(Policy::of(&[]).with(&overrides)), [all, all]);
    }
}
