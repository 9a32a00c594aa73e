"""What was just written: an act is under way until the case has taken it, whatever machines send meanwhile."""

from stream.enforce.api.recent import ACT_MS_MAX, RecentActs


def test_an_act_is_under_way_until_its_case_has_taken_it() -> None:
    acts = RecentActs()
    acts.note("C-1", "one@complaint", 0)
    assert not acts.under_way("C-1", "one@complaint", 1), "it is the same request again"
    assert acts.under_way("C-1", "other@complaint", 1)
    assert not acts.under_way("C-2", "other@complaint", 1)
    acts.taken("C-1", "deliveries/3/17@5")  # a delivery takes the case on, and not the act
    assert acts.under_way("C-1", "other@complaint", 2)
    acts.taken("C-1", "one@complaint")
    assert not acts.under_way("C-1", "other@complaint", 3)


def test_an_act_of_which_nothing_is_heard_is_waited_for_no_longer_than_its_time() -> None:
    acts = RecentActs()
    acts.note("C-1", "one@complaint", 0)
    assert acts.under_way("C-1", "other@complaint", ACT_MS_MAX - 1)
    assert not acts.under_way("C-1", "other@complaint", ACT_MS_MAX)
    acts.taken("C-1", None)  # views of versions before do not say
    assert not acts.under_way("C-1", "other@complaint", 1)
