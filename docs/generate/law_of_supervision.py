"""Articles 29 to 42, sentence by sentence: complaints, prohibited content, disputes, supervision and penalties.

The wording is ours, after the published draft and our digest of it.
"""

from typing import Final

from docs.generate.law_table import (
    ALL_PLANES,
    AUTHORITIES,
    MEASURE,
    PERMISSIONS,
    RULES,
    WAYS,
    Article,
    Clock,
    Row,
    Rule,
    Sentence,
    tests,
    ways,
)

_COMPLAINT: Final = "enforce/procedures/test_complaint"

ARTICLES: Final[tuple[Article, ...]] = (
    Article(
        (29, 30, 31),
        "Complaints",
        "用户投诉",
        (
            Sentence(
                "29 (1)",
                "Providers set up how complaints are dealt with.",
                "建立投诉处理机制",
                ("stream/enforce/procedures/complaint.py", "stream/enforce/api/intake.py", "stream/cli/case.py"),
                (
                    *tests(WAYS, "a_complaint_is_a_record_first_and_then_a_case_that_goes_its_whole_way"),
                    *tests("cli/test_case", "a_complaint_is_filed_listed_shown_and_decided"),
                ),
            ),
            Sentence(
                "29 (2)",
                "They publish an effective and easy way to reach them.",
                "公布有效、便捷的联系方式",
                ("stream/policy/cn-2020.toml", Rule("2")),
                tests(RULES, "a_block_carries_codes_and_an_appeal_and_an_allow_does_not"),
                "To publish it is the company's; wurao names it with every block, and lets calls to it through.",
            ),
            Sentence(
                "29 (3)",
                "They take and deal with complaints about their own services.",
                "受理并处置涉及本单位的投诉",
                (
                    Row("complaint", "new", "complained"),
                    Row("complaint", "forwarded", "verified"),
                    "stream/enforce/api/names.py",
                ),
                (
                    *tests(WAYS, "a_complaint_is_about_whose_number_it_is_and_its_ports_are_one_party"),
                    *tests(
                        _COMPLAINT,
                        "a_complaint_about_a_number_is_one_about_its_owner_whatever_the_user_calls_the_sender",
                        "an_impersonated_owner_is_held_nothing_against_and_the_route_is_to_be_found",
                    ),
                ),
            ),
            Sentence(
                "30 (1)",
                "The Ministry entrusts the 12321 centre with taking users' complaints.",
                "委托12321受理中心受理投诉",
                ("stream/enforce/api/permissions.py",),
                tests(PERMISSIONS, "each_body_acts_on_its_own_clocks_alone"),
                "The centre's own system is its own: it acts by its role, or the desk records what it did, with its "
                "document.",
            ),
            Sentence(
                "31 ¶1 (1)",
                "A user who feels disturbed by commercial SMS or calls may complain to the centre.",
                "商业性短信息或商业性电话侵扰",
                (Row("complaint", "new", "complained"), Row("complaint", "forwarded", "verified")),
                tests(
                    _COMPLAINT,
                    "a_refusal_that_the_subscriber_asks_for_waits_for_nobody",
                    "a_verified_complaint_is_a_finding_and_the_users_refusal",
                    "a_verified_complaint_is_no_refusal_over_a_newer_consent_unless_the_user_says_so",
                ),
            ),
            Sentence(
                "31 ¶1 (2)",
                "So may one who got an SMS or a call with content that the law prohibits.",
                "含有禁止性内容",
                (Row("complaint", "forwarded", "verified"),),
                tests(
                    _COMPLAINT, "a_complaint_about_prohibited_content_that_is_confirmed_opens_the_case_of_article_32"
                ),
            ),
            Sentence(
                "31 ¶2 (1)",
                "The centre forwards a complete and accurate complaint to the company within 3 working days of its "
                "receipt.",
                "3个工作日内转送",
                (
                    Clock("forward"),
                    Row("complaint", "received", "forwarded"),
                    Row("complaint", "incomplete", "complained"),
                    Clock("supplement"),
                ),
                (
                    *ALL_PLANES,
                    *tests(
                        _COMPLAINT,
                        "each_duty_has_its_clock",
                        "a_missed_term_is_a_breach_and_the_duty_is_still_owed",
                        "an_incomplete_complaint_is_asked_for_what_is_missing_and_started_by_what_completes_it",
                    ),
                ),
                "How long a user has for what is missing the article does not say: a setting.",
            ),
            Sentence(
                "31 ¶2 (2)",
                "The company verifies it and takes effective measures in time.",
                "核实后及时采取有效处理措施",
                (Row("complaint", "forwarded", "verified"), Row("complaint", "confirmed", "acted-upon")),
                tests(_COMPLAINT, "nothing_is_reported_before_it_was_verified_and_acted_upon"),
            ),
            Sentence(
                "31 ¶2 (3)",
                "It reports to the centre within 15 working days.",
                "15个工作日内反馈处置结果",
                (
                    Clock("report"),
                    Row("complaint", "acted", "reported"),
                    Row("complaint", "unconfirmed", "reported"),
                    Row("complaint", "reporting", "delivered"),
                    Row("complaint", "reporting", "served"),
                    Clock("tell-office"),
                ),
                (
                    *tests(
                        _COMPLAINT,
                        "each_duty_has_its_clock",
                        "an_unconfirmed_complaint_holds_nothing_against_the_sender_and_is_reported_and_answered",
                    ),
                    *tests(AUTHORITIES, "a_body_that_acts_on_a_report_has_it"),
                ),
                "Nobody is told who was not reached (our reading): the clock runs until the centre has the report.",
            ),
            Sentence(
                "31 ¶2 (4)",
                "The centre answers the user within 3 working days of that report.",
                "3个工作日内向用户反馈",
                (
                    Clock("answer"),
                    Row("complaint", "reported", "answered"),
                    Row("complaint", "answering", "delivered"),
                    Row("complaint", "answering", "served"),
                    "stream/letters/letters.toml",
                ),
                tests(_COMPLAINT, "the_clock_of_an_answer_runs_on_until_the_user_was_reached"),
                "Nobody is answered who was not reached (our reading).",
            ),
        ),
        ways(
            "complaints",
            "a_complaint_is_asked_for_what_it_lacks_and_goes_its_whole_way",
            "a_spoofed_number_is_held_against_nobody_and_the_answer_is_served_by_hand",
        )
        + ways(
            "new_year", "a_term_over_new_years_day_2027_leaves_it_out_and_is_reckoned_anew_once_the_year_is_announced"
        ),
    ),
    Article(
        (32,),
        "Prohibited content",
        "禁止性内容",
        (
            Sentence(
                "(1)",
                "Who finds content that the law prohibits stops it at once.",
                "立即停止传输",
                (
                    Rule("15"),
                    "stream/warning/blocked.py",
                    Row("prohibited-content", "new", "discovered"),
                    Row("prohibited-content", "flagged", "seconded"),
                    Row("measure", "new", "found"),
                ),
                (
                    *tests(
                        AUTHORITIES,
                        "prohibited_content_is_stopped_kept_and_reported_at_once",
                        "what_the_filter_blocked_is_kept_and_reported_and_suspends_nobody_before_a_person_has_looked",
                    ),
                    *tests(
                        "warning/test_watch",
                        "what_the_filter_blocked_opens_one_case_of_its_sender_and_day_however_often_it_is_read",
                    ),
                    *tests(MEASURE, "what_must_be_stopped_at_once_is_told_in_the_same_step"),
                    *tests(RULES, "a_prohibited_term_is_found_whatever_stands_between_its_characters"),
                ),
                "Content of personal messages is never looked at (secrecy of correspondence).",
            ),
            Sentence(
                "(2)",
                "It keeps the record.",
                "保存有关记录",
                (Row("prohibited-content", "new", "discovered"), "stream/enforce/procedures/effects.py"),
                tests(AUTHORITIES, "prohibited_content_is_stopped_kept_and_reported_at_once"),
            ),
            Sentence(
                "(3)",
                "It reports to the state organs.",
                "向国家有关机关报告",
                (Row("prohibited-content", "new", "discovered"), "stream/notify/loop.py"),
                (
                    *tests(
                        AUTHORITIES,
                        "prohibited_content_is_stopped_kept_and_reported_at_once",
                        "a_stop_for_prohibited_content_stands_on_two_persons_word_and_on_evidence",
                    ),
                    *tests(
                        "notify/test_connector", "notices_are_delivered_by_mail_and_web_and_each_attempt_is_recorded"
                    ),
                ),
                "That a second person confirms within the hour is our reading of Article 22: nobody was told before.",
            ),
            Sentence(
                "(4)",
                "It investigates.",
                "调查核实",
                (Row("prohibited-content", "under-investigation", "investigated"), Clock("investigate")),
                tests(AUTHORITIES, "the_outcome_is_reported_and_a_party_that_is_cleared_is_free"),
            ),
            Sentence(
                "(5)",
                "It reports the outcome to the regulator.",
                "向电信管理机构报告处理结果",
                (
                    Row("prohibited-content", "under-investigation", "investigated"),
                    Row("prohibited-content", "reporting", "delivered"),
                    Row("prohibited-content", "reporting", "served"),
                ),
                tests(
                    AUTHORITIES,
                    "the_outcome_is_reported_and_a_party_that_is_cleared_is_free",
                    "the_outcome_counts_as_reported_once_every_report_has_reached_its_office",
                ),
            ),
        ),
        ways("complaints", "a_complaint_about_prohibited_content_stops_its_sender_at_once")
        + ways(
            "measures",
            "what_nobody_seconds_within_the_hour_is_annulled",
            "what_the_filter_blocks_opens_a_case_and_suspends_nobody_before_a_person_has_looked",
        ),
    ),
    Article(
        (33,),
        "Disputes",
        "用户申诉",
        (
            Sentence(
                "(1)",
                "A user may take a dispute to the appeals body that the regulator entrusted.",
                "电信用户申诉受理机构",
                (
                    Row("dispute", "new", "disputed"),
                    Row("dispute", "submitted", "accepted"),
                    Row("dispute", "submitted", "declined"),
                    Row("dispute", "heard", "dispute-decided"),
                    "stream/enforce/api/permissions.py",
                ),
                (
                    *tests(PERMISSIONS, "each_body_acts_on_its_own_clocks_alone"),
                    *tests(AUTHORITIES, "a_company_that_does_not_answer_a_dispute_is_in_breach_and_cannot_hold_it_up"),
                ),
                "Its own rules of procedure are that body's; all terms here are settings.",
            ),
            Sentence(
                "(2)",
                "No step of a complaint has to come first.",
                "可直接申诉",
                (
                    Row("complaint", "received", "disputed"),
                    Row("complaint", "withdrawn", "disputed"),
                    Row("dispute", "new", "disputed"),
                ),
                (
                    *tests(
                        _COMPLAINT,
                        "a_user_may_take_a_dispute_whatever_step_the_complaint_is_at_and_is_owed_as_much",
                        "from_the_first_missed_clock_on_a_dispute_is_not_early",
                    ),
                    *tests(
                        AUTHORITIES,
                        "a_dispute_without_a_complaint_is_recorded_and_its_user_told_what_will_be_asked_for",
                    ),
                ),
            ),
        ),
        ways("complaints", "a_dispute_after_a_missed_clock_is_not_early_and_is_decided_for_the_user"),
    ),
    Article(
        (34, 35),
        "Inspections",
        "监督检查",
        (
            Sentence(
                "34 (1)",
                "Companies cooperate with an inspection and hand over what it asks for.",
                "予以配合并按照要求提供相关材料",
                (
                    "stream/enforce/api/case_index.py",
                    "stream/enforce/api/search.py",
                    "stream/enforce/api/statistics.py",
                    Row("measure", "new", "found"),
                ),
                tests(WAYS, "prohibited_content_and_inspections_are_found_by_people"),
                "Open: the export of rows, proofs and evidence belongs to the archive, which is work to come. Cases "
                "are searched, read and counted by API and `wurao case`; what an inspection finds is a finding.",
            ),
            Sentence(
                "35 (1)",
                "The regulator records the inspection.",
                "记录监督检查的情况",
                ("stream/enforce/api/looks.py", "stream/model/accesses.py"),
                tests(
                    "enforce/api/test_privacy",
                    "no_answer_tells_the_accused_of_who_complained_or_who_only_reads_a_number_and_each_look_is_recorded",
                ),
                "The regulator's record is its own; what it was shown here stands in `accesses`.",
            ),
            Sentence(
                "35 (2)",
                "It hinders nobody's normal business.",
                "不得妨碍正常经营",
                ("stream/enforce/api/case_index.py", "stream/rate_limit.py"),
                tests(
                    "enforce/api/test_case_index",
                    "a_page_of_20_000_open_cases_looks_at_no_more_rows_than_it_shows_and_one",
                ),
            ),
        ),
        ways("measures", "what_an_inspection_asks_for_is_handed_over_masked_and_what_it_finds_is_a_finding"),
    ),
    Article(
        (36,),
        "The list of bad actors",
        "不良名单、失信名单",
        (
            Sentence(
                "(1)",
                "Operators that were punished enter the list of bad or untrusted ones.",
                "列入电信业务经营不良名单或者失信名单",
                (
                    Row("listing", "new", "punished"),
                    Row("listing", "proposed", "clock"),
                    Clock("object"),
                    Clock("listed"),
                    "stream/enforce/api/listings.py",
                ),
                tests("enforce/api/test_listings", "an_entry_is_in_force_from_its_beginning_to_before_its_end")
                + tests(
                    AUTHORITIES,
                    "nobody_is_listed_before_being_told_and_heard",
                    "an_objection_that_was_withdrawn_may_be_made_anew_in_its_time",
                    "an_entry_has_an_end_and_may_end_early",
                ),
                "Time to object and length are settings; the Ministry's own lists are kept by the Ministry.",
            ),
        ),
        ways("measures", "who_was_punished_is_listed_once_told_and_not_heard_from"),
    ),
    Article(
        (37,),
        "Orders of the regulator",
        "电信管理机构的处置要求",
        (
            Sentence(
                "(1)",
                "The regulator may order that the measures of Article 22 be taken.",
                "要求采取第二十二条规定的措施",
                (
                    Row("regulator-order", "new", "directed"),
                    Row("regulator-order", "carrying-out", "measure-changed"),
                    Row("regulator-order", "carried-out", "revoked"),
                    Clock("carry-out"),
                    "stream/enforce/api/jurisdiction.py",
                ),
                (
                    *tests(
                        AUTHORITIES,
                        "an_order_of_the_regulator_holds_at_once_only_if_it_says_so",
                        "an_order_without_its_document_is_not_carried_out",
                        "the_regulator_hears_when_its_measure_holds_and_may_take_it_back",
                    ),
                    *tests(MEASURE, "what_an_authority_ordered_gives_way_to_nothing"),
                    *tests(WAYS, "a_sender_appeals_for_itself_and_sees_its_own_cases_alone"),
                ),
                "How soon it must be in force the article does not say: a setting.",
            ),
        ),
        ways("measures", "an_order_of_the_regulator_about_a_national_number_is_obeyed_until_the_regulator_revokes_it"),
    ),
    Article(
        (38, 39, 40),
        "Penalties",
        "法律责任",
        (
            Sentence(
                "(1)",
                "Who does not stop a violator that it knows of is punished itself.",
                "未采取措施的责任",
                ("stream/enforce/procedures/terms.py", Row("measure", "telling", "clock"), "deploy/objectives.py"),
                (
                    *tests(
                        MEASURE,
                        "each_measure_has_its_grace",
                        "want_of_an_address_tells_nobody_and_commercial_traffic_stops_until_the_notice_is_served",
                    ),
                    *tests(_COMPLAINT, "a_missed_term_is_a_breach_and_the_duty_is_still_owed"),
                ),
                "wurao keeps the time from finding to stop short, and says when a term is missed.",
            ),
            Sentence(
                "(2)",
                "The regulator orders correction, warns, fines 10,000 to 30,000 yuan and gives public notice.",
                "责令改正，警告，罚款，向社会公告",
                (Row("listing", "new", "punished"),),
                tests(AUTHORITIES, "nobody_is_listed_before_being_told_and_heard"),
                "To punish is the regulator's; what it has done is recorded as a punishment and may lead to a listing.",
            ),
            Sentence(
                "(3)",
                "In grave cases licence and numbers are withdrawn.",
                "吊销许可，收回码号",
                (Rule("16"), "stream/registry/ownership.py"),
                tests(RULES, "a_sender_is_known_and_active"),
                "To withdraw them is the regulator's; a sender's record says `revoked`, and nothing of it passes then.",
            ),
        ),
    ),
    Article(
        (41,),
        "Officials",
        "工作人员的责任",
        (
            Sentence(
                "(1)",
                "Staff of the regulator or of the centre who abuse or neglect their office answer for it.",
                "滥用职权、玩忽职守、徇私舞弊",
                ("stream/enforce/api/auth.py", "stream/enforce/procedures/engine.py"),
                (
                    *tests(WAYS, "a_complaint_is_a_record_first_and_then_a_case_that_goes_its_whole_way"),
                    *tests(
                        "enforce/procedures/test_procedures",
                        "what_another_proposes_takes_the_place_of_what_was_proposed_and_a_new_state_ends_it",
                    ),
                ),
                "Our digest has this article from the rules of 2015. To call them to account is no matter of software: "
                "every act bears its `actor`, and a decision takes two persons.",
            ),
        ),
    ),
    Article(
        (42,),
        "Entry into force",
        "施行",
        (
            Sentence(
                "(1)",
                "From when the rules hold, and which they replace.",
                "自公布之日起施行",
                (),
                (),
                "Our digest says nothing of it. A draft of 31 August 2020: not in force. The rules of 2015 (令第31号) "
                "stand until it is.",
            ),
        ),
    ),
)
