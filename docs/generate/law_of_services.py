"""Articles 22 to 28, sentence by sentence: measures, declined calls, emergencies and public-interest SMS.

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

_CAMPAIGN: Final = "enforce/procedures/test_campaign"
_EMERGENCY: Final = "enforce/procedures/test_emergency"
_ESCALATION: Final = "enforce/procedures/test_escalation"
_CALENDAR: Final = "enforce/procedures/test_calendar_cn"
_FORMS: Final = "enforce/procedures/test_forms"

ARTICLES: Final[tuple[Article, ...]] = (
    Article(
        (22,),
        "Measures against violators",
        "对违规者采取的措施",
        (
            Sentence(
                "(1)",
                "A carrier, MVNO or provider that finds somebody in breach of the rules stops it.",
                "发现违规及时制止",
                (
                    "stream/warning/judge.py",
                    "stream/enforce/procedures/escalation.py",
                    Row("measure", "new", "found"),
                    Rule("7"),
                    Rule("20"),
                ),
                (
                    *ALL_PLANES,
                    *tests(_ESCALATION, "repeat_findings_climb_the_ladder_and_replace_what_is_lighter"),
                    *tests(RULES, "an_order_to_stop_ends_commercial_traffic_and_nothing_else"),
                ),
            ),
            Sentence(
                "(2)",
                "It may allow the violator no new communication resources.",
                "限制新增通信资源",
                ("stream/registry/admission.py", Row("measure", "warned", "clock")),
                (
                    *tests(
                        "registry/test_admission",
                        "a_sender_under_a_limit_gets_no_new_numbers",
                        "a_limit_on_a_number_refuses_whoever_registers_numbers_around_or_within_it",
                    ),
                    *tests(RULES, "a_limit_changes_nothing"),
                ),
                "Resources besides numbers (ports of a platform, bandwidth) are given elsewhere; who gives them reads "
                "`registry.orders`.",
            ),
            Sentence(
                "(3)",
                "It may suspend the service.",
                "暂停服务",
                ("stream/enforce/procedures/measure_orders.py", Rule("7"), Row("measure", "warned", "clock")),
                (*tests(RULES, "an_order_to_suspend_holds_against_the_sender_the_owner_and_the_number"),),
            ),
            Sentence(
                "(4)",
                "It keeps the records.",
                "保存有关记录",
                (
                    "stream/enforce/procedures/effects.py",
                    "stream/warning/holding.py",
                    "stream/kafka/topics.py",
                    Row("measure", "in-force", "found"),
                ),
                (
                    *tests(MEASURE, "later_findings_join_and_are_kept_and_counted_once"),
                    *tests(
                        "warning/test_holding",
                        "a_copy_bears_the_digest_of_the_whole_and_says_what_is_not_as_it_was_named",
                    ),
                    *tests("operate/test_guarantees", "a_cluster_as_it_must_be_has_no_difference"),
                ),
                "What cases did and told stands in its topics for ever, what a hold names is copied to `held`. What "
                "stands elsewhere (a file, a letter) is a reference: the archive that keeps it is work to come.",
            ),
            Sentence(
                "(5)",
                "It offers a way to appeal.",
                "提供申诉渠道",
                (
                    Row("measure", "warned", "appealed"),
                    Row("measure", "in-force", "appealed"),
                    Row("appeal", "pending", "decided"),
                    Rule("2"),
                    "stream/letters/letter.py",
                ),
                (
                    *tests(
                        MEASURE,
                        "an_appeal_does_not_hold_the_measure_up",
                        "a_party_that_wins_its_appeal_is_free_at_once_and_the_finding_counts_for_nothing",
                        "an_appeal_that_was_withdrawn_may_be_made_anew",
                        "only_a_heavier_measure_that_should_not_have_been_gives_its_place_back",
                    ),
                    *tests(AUTHORITIES, "an_appeal_is_decided_for_one_side_and_both_hear_of_it"),
                    *tests(
                        "letters/test_letters",
                        "a_measure_names_article_channel_measure_duration_incident_and_where_to_appeal",
                    ),
                    *tests(
                        RULES,
                        "the_way_to_an_appeal_is_open_even_to_the_suspended",
                        "a_block_carries_codes_and_an_appeal_and_an_allow_does_not",
                    ),
                ),
                "That a heavier measure which falls gives its place back to the lighter one is our reading.",
            ),
            Sentence(
                "(6)",
                "The party is told before its service is suspended.",
                "暂停前告知",
                (
                    "stream/enforce/procedures/telling.py",
                    "stream/enforce/api/orders.py",
                    "stream/letters/letters.toml",
                    "stream/notify/loop.py",
                    Row("measure", "telling", "delivered"),
                    Row("measure", "telling", "served"),
                    Row("measure", "telling", "delivery-failed"),
                    Clock("tell"),
                ),
                (
                    *tests(
                        MEASURE,
                        "a_suspension_begins_when_the_grace_of_its_delivered_notice_is_over",
                        "want_of_an_address_tells_nobody_and_commercial_traffic_stops_until_the_notice_is_served",
                        "a_service_is_confirmed_by_another_person_who_records_the_same",
                        "failures_that_are_ours_tell_nobody_however_many_they_are",
                    ),
                    *tests(
                        "letters/test_letters",
                        "a_measure_names_article_channel_measure_duration_incident_and_where_to_appeal",
                    ),
                    *tests(
                        "enforce/api/test_orders",
                        "nobody_orders_without_a_case",
                    ),
                ),
                "Only a suspension needs it: while a notice waits, commercial traffic is stopped. Prohibited content "
                "(32) and an order of the regulator that holds at once (37) tell in the same step.",
            ),
        ),
        ways(
            "measures",
            "a_suspension_waits_for_its_notice_and_gives_its_place_back_when_its_appeal_is_won",
            "a_party_that_loses_its_appeal_is_stopped",
        ),
    ),
    Article(
        (23,),
        "The platform on which users decline calls",
        "“谢绝来电”平台",
        (
            Sentence(
                "(1)",
                "The Ministry builds one platform for the country and guides callers to heed users' wishes.",
                "全国统一的“谢绝来电”平台",
                ("stream/feed/importer.py", "stream/feed/replacement.py"),
                tests(
                    "cli/test_full_file",
                    "a_full_file_becomes_the_difference_and_narrower_wishes_stay",
                    "a_full_file_never_lifts_what_it_cannot_read",
                ),
                "The platform is the Ministry's; wurao takes its files. Signed deltas both ways are work to come.",
            ),
            Sentence(
                "(2)",
                "Carriers register by convenient and effective means what users wish about commercial calls.",
                "便捷有效的方式登记接收意愿",
                (
                    "stream/policy/replies.py",
                    "stream/policy/cn-2020.toml",
                    "stream/enforce/api/intake.py",
                    "stream/cli/will.py",
                    Rule("3"),
                ),
                (
                    *tests(RULES, "a_subscriber_declines_all_calls_by_writing_to_the_carrier"),
                    *tests("policy/test_replies", "a_refusal_is_heard_however_it_is_written"),
                    *tests("filter/test_filter", "a_reply_is_in_force_before_the_next_messages"),
                    *tests("enforce/api/test_api", "a_subscribers_word_is_in_the_register_at_once"),
                ),
            ),
            Sentence(
                "(3)",
                "They protect users as these wish and as was agreed with them.",
                "依据用户意愿和协议约定提供防护",
                (Rule("25b"), Rule("26"), Rule("30a"), "stream/audit/auditor.py"),
                (
                    *tests(RULES, "who_has_refused_gets_no_commercial_calls", "silence_is_refusal"),
                    *tests(
                        "policy/test_properties",
                        "under_cn_2020_nothing_commercial_reaches_a_subscriber_who_has_not_consented",
                    ),
                ),
                "Wishes about a single caller's number or a range of numbers are not taken yet.",
            ),
            Sentence(
                "(4)",
                "MVNOs do likewise, and the carriers help them.",
                "移动通信转售业务经营者，必要协助",
                (),
                (),
                "Open: an MVNO may run wurao as a carrier does; a feed of its own ranges for each MVNO is to come.",
            ),
        ),
    ),
    Article(
        (24,),
        "Handsets and security software",
        "终端与安全软件",
        (
            Sentence(
                "(1)",
                "Makers of handsets and of security software are encouraged to protect users.",
                "鼓励终端生产企业、安全软件",
                (),
                (),
                "Nothing is owed. A file from which a handset answers offline is work to come.",
            ),
        ),
    ),
    Article(
        (25, 26),
        "Emergencies",
        "应急类公益性短信息",
        (
            Sentence(
                "25 (1)",
                "Public-interest SMS of government departments that warns of a disaster or handles an emergency goes "
                "out before all else.",
                "优先发送",
                (Rule("6a"), Rule("6b"), "stream/filter/lane.py"),
                (
                    *tests(
                        RULES,
                        "an_emergency_from_an_entry_that_is_for_it_yields_to_nothing",
                        "an_open_emergency_campaign_carries_an_emergency_of_its_numbers",
                    ),
                    *tests("filter/test_filter", "urgent_events_are_decided_before_a_backlog"),
                    *tests("filter/test_lane", "bulk_stands_back_until_an_emergency_is_acknowledged"),
                ),
            ),
            Sentence(
                "26 (1)",
                "In an emergency, of nature, by accident, of public health or of public security, it is sent first.",
                "突发自然灾害、事故灾难、公共卫生和社会安全事件，先行发送",
                (Row("campaign", "new", "filed"), "stream/enforce/procedures/campaign_emergency.py"),
                (
                    *tests(
                        _EMERGENCY,
                        "one_person_sends_and_the_regulator_is_told_in_the_same_step",
                        "what_holds_an_emergency_up_is_asked_for_and_that_alone",
                        "a_link_or_advertisement_is_flagged_at_once_and_goes_out",
                    ),
                    *tests(_FORMS, "an_emergency_never_reaches_further_than_its_body_meant"),
                    *tests(
                        "enforce/api/test_filings",
                        "what_makes_it_no_emergency_is_refused_with_what_is_allowed_and_what_comes_next",
                        "what_the_record_of_its_sender_lacks_is_said_at_once_and_holds_nothing_up",
                        "the_same_act_registers_what_the_record_lacks",
                    ),
                    *tests("registry/test_admission", "an_emergency_is_a_public_bodys_and_ends_in_three_days"),
                ),
                "No by-pass (our reading): a public body's sender alone, and three days at most, renewed.",
            ),
            Sentence(
                "26 (2)",
                "Its paperwork follows.",
                "事后补办手续",
                (
                    Row("campaign", "sent-first", "filed"),
                    Row("campaign", "sent-first", "seconded"),
                    Row("campaign", "sent-first", "confirmed"),
                    Row("campaign", "sent-first", "clock"),
                    Clock("owed-filing"),
                    Clock("second"),
                    Clock("confirm"),
                ),
                tests(
                    _EMERGENCY,
                    "nothing_is_owed_any_more_once_a_second_person_the_regulator_and_the_filing_are_there",
                    "what_nobody_confirms_is_alerted_and_told_again_and_not_stopped",
                    "an_emergency_that_is_taken_back_still_owes_what_it_owed",
                ),
                "How soon it must follow the article does not say, nor who confirms it: settings, and our reading.",
            ),
        ),
        ways("campaigns", "an_emergency_is_sent_first_and_owes_two_words_and_its_filing"),
    ),
    Article(
        (27,),
        "Public-interest SMS by application",
        "非应急类公益性短信息",
        (
            Sentence(
                "¶1 (1)",
                "Who applies: a department of a people's government of a province or above, or the people's government "
                "itself of a city divided into districts or of an autonomous prefecture.",
                "省级以上人民政府有关部门、设区市、自治州人民政府",
                ("stream/enforce/procedures/fitness.py", "stream/enforce/procedures/regions.py"),
                (
                    *tests(
                        _CAMPAIGN,
                        "who_may_file_is_one_of_two_kinds_of_body",
                        "a_bodys_region_fits_its_level",
                        "a_body_reaches_what_it_governs",
                    ),
                    *tests(PERMISSIONS, "a_public_bodys_filing_is_of_the_level_and_region_of_its_token"),
                    *tests(
                        "enforce/api/test_filings",
                        "an_application_for_a_sender_that_is_no_public_bodys_comes_back_until_its_record_shows_one",
                    ),
                ),
            ),
            Sentence(
                "¶1 (2)",
                "To whom: the telecom regulator of the same level.",
                "同级电信管理机构",
                ("stream/enforce/api/jurisdiction.py", Row("campaign", "weighing", "weighed")),
                tests(WAYS, "a_campaign_is_filed_weighed_and_approved"),
                "There are such administrations for the country and for provinces; a city's or prefecture's filing "
                "goes to its province's (our reading).",
            ),
            Sentence(
                "¶1 (3)",
                "In writing, and 15 working days ahead.",
                "提前15个工作日",
                ("stream/enforce/procedures/fitness.py", "stream/enforce/procedures/calendar_cn.py"),
                (
                    *tests(_CAMPAIGN, "seventy_characters_and_fifteen_working_days_are_enough"),
                    *tests(
                        _CALENDAR,
                        "the_national_day_of_2026_is_counted_as_announced",
                        "a_year_that_nobody_announced_has_its_statutory_days_and_says_that_the_rest_is_unknown",
                    ),
                ),
            ),
            Sentence(
                "¶1 (4)",
                "It states reason, content, time, range and the sending body.",
                "发送理由、内容、时间、范围、发送机构",
                (Row("campaign", "new", "filed"), Row("campaign", "incomplete", "filed"), Clock("supplement")),
                tests(_CAMPAIGN, "an_incomplete_filing_is_answered_with_all_that_is_missing"),
            ),
            Sentence(
                "¶1 (5)",
                "The text names the body and its phone.",
                "机构名称和联系电话",
                ("stream/enforce/procedures/fitness.py",),
                tests(_CAMPAIGN, "a_faulty_filing_is_returned_with_the_fault_named_and_may_be_mended"),
            ),
            Sentence(
                "¶1 (6)",
                "It has at most 70 characters.",
                "不超过70个字符",
                ("stream/enforce/procedures/fitness.py",),
                (
                    *tests(_CAMPAIGN, "seventy_characters_and_fifteen_working_days_are_enough"),
                    *tests("cli/test_case", "check_says_offline_what_a_form_lacks_a_line_for_each"),
                ),
                "A character is a UTF-16 unit of the text as it is sent, as an SMS counts (our reading).",
            ),
            Sentence(
                "¶1 (7)",
                "It holds no address of a website and no link.",
                "不得含有网址、链接",
                ("stream/enforce/procedures/links.py",),
                tests(
                    "enforce/procedures/test_links",
                    "a_link_is_found_however_it_is_hidden",
                    "what_a_reader_takes_for_no_link_is_none",
                ),
            ),
            Sentence(
                "¶1 (8)",
                "… unless the state rules otherwise.",
                "国家另有规定的除外",
                ("stream/enforce/procedures/fitness.py", Row("campaign", "weighing", "weighed")),
                tests(
                    _CAMPAIGN,
                    "an_exemption_must_be_stated_and_granted",
                    "an_exemption_reaches_what_the_article_leaves_to_other_rules_and_no_further",
                ),
                "What the state rules otherwise a filing must name; no list of such rules is kept here.",
            ),
            Sentence(
                "¶2 (1)",
                "The regulator weighs content, range, frequency, total volume and what users wish.",
                "内容、范围、频次、总量、用户接收意愿",
                (
                    "stream/enforce/procedures/fitness.py",
                    Row("campaign", "weighing", "weighed"),
                    Clock("decide-filing"),
                ),
                tests(
                    _CAMPAIGN,
                    "a_campaign_over_a_limit_needs_a_reason_to_override_it",
                    "frequency_and_the_users_wishes_weigh_too",
                ),
                "How much is too much the article does not say: limits are settings, and people may override them.",
            ),
            Sentence(
                "¶2 (2)",
                "As the case may be, it arranges with the companies that the SMS is sent.",
                "协调相关企业发送",
                (
                    Row("campaign", "weighing", "weighed"),
                    Rule("10"),
                    Rule("11"),
                    Rule("12"),
                    Rule("13"),
                    Rule("14"),
                ),
                (
                    *tests(
                        _CAMPAIGN,
                        "a_fit_filing_is_weighed_and_an_approval_writes_the_campaign_with_its_numbers",
                        "nothing_is_approved_when_its_time_is_over",
                    ),
                    *tests(
                        RULES,
                        "public_interest_sms_needs_an_approved_campaign_to_which_its_number_belongs",
                        "public_interest_sms_keeps_to_its_window",
                        "public_interest_sms_keeps_to_its_regions_where_the_recipients_is_known",
                        "public_interest_sms_says_what_was_approved",
                    ),
                ),
            ),
            Sentence(
                "¶2 (3)",
                "What is not fit to be sent is told to the applicant, with the reason.",
                "及时告知有关部门相关情况和理由",
                (Row("campaign", "weighing", "weighed"),),
                tests(_CAMPAIGN, "a_refusal_is_told_with_its_reason_and_figures"),
            ),
            Sentence(
                "¶2 (4)",
                "A department's publicity for its own work is outside the scheme, unless the state rules otherwise.",
                "工作宣传类短信息",
                ("stream/enforce/procedures/fitness.py",),
                tests(_CAMPAIGN, "an_exemption_reaches_what_the_article_leaves_to_other_rules_and_no_further"),
            ),
        ),
        ways(
            "campaigns",
            "each_kind_of_body_files_with_its_own_administration",
            "what_is_wrong_with_a_filing_is_told_and_a_refusal_has_its_reason",
        ),
    ),
    Article(
        (28,),
        "Messages of internet services",
        "通过互联网信息服务发送的公益性信息",
        (
            Sentence(
                "(1)",
                "Public-interest messages of internet services that work like SMS are treated likewise.",
                "具有短信息特征，参照执行",
                ("stream/policy/facts.py", Rule("10"), Rule("14")),
                tests(RULES, "on_the_internet_the_form_of_the_senders_identifier_is_not_checked"),
            ),
            Sentence(
                "(2)",
                "Where laws or regulations say otherwise, these hold.",
                "法律、行政法规另有规定的，从其规定",
                (),
                (),
                "Other laws are not carried out here; another policy file may hold what they ask for.",
            ),
        ),
    ),
)
