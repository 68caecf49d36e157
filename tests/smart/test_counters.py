"""What the numbers of a drive mean: rows of real drives, by smartctl's name and the raw value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerd.smart.counters import (
    counters_of,
    credible_hours,
    credible_temperature,
    credible_temperature_limit,
    is_solid_state,
    rated_loads,
    self_test_hours,
    temperature_of,
    wear_of,
)
from powerd.smart.model import Attribute, Counter


def attribute(row: str) -> Attribute:
    """An attribute by its number, name, value, worst, threshold and raw value."""
    number, name, *values, raw = row.split(maxsplit=5)
    value, worst, threshold = map(int, values)
    return Attribute(int(number), name, value, worst, threshold, raw, prefail=False)


def count_of(row: str, *, solid_state: bool | None = None) -> dict[Counter, int]:
    return counters_of((attribute(row),), solid_state=solid_state)


@pytest.mark.parametrize(
    ("row", "counter", "count"),
    [
        ("4 Start_Stop_Count 99 99 0 1480", Counter.STARTS, 1480),
        ("5 Reallocated_Sector_Ct 52 52 10 62392", Counter.REALLOCATED, 62392),
        ("5 Retired_Block_Count 83 83 3 2160", Counter.REALLOCATED, 2160),
        ("5 Reallocate_NAND_Blk_Cnt 100 100 10 2", Counter.REALLOCATED, 2),
        ("187 Reported_Uncorrect 98 98 0 2", Counter.REPORTED, 2),
        ("187 Uncorrectable_Error_Cnt 96 96 0 34020", Counter.REPORTED, 34020),
        ("193 Load_Cycle_Count 1 1 0 6612851", Counter.LOADS, 6612851),
        ("225 Load_Cycle_Count 1 1 0 1234567", Counter.LOADS, 1234567),
        ("197 Current_Pending_Sector 15 15 0 1757", Counter.PENDING, 1757),
        ("197 Total_Pending_Sectors 100 100 0 3", Counter.PENDING, 3),
        ("197 Pending_Sector_Count 100 100 0 1", Counter.PENDING, 1),
        ("198 Offline_Uncorrectable 100 100 0 24", Counter.UNCORRECTABLE, 24),
        ("199 UDMA_CRC_Error_Count 200 200 0 252204", Counter.CRC, 252204),
        ("199 CRC_Error_Count 70 70 0 29919", Counter.CRC, 29919),
        ("199 SATA_CRC_Error_Count 100 100 0 3", Counter.CRC, 3),
    ],
)
def test_a_count_goes_by_its_name(row: str, counter: Counter, count: int) -> None:
    assert count_of(row) == {counter: count}


@pytest.mark.parametrize(
    "row",
    [
        "198 Host_Reads_GiB 100 100 0 5432",
        "199 Host_Writes_GiB 100 100 0 9000",
        "197 Current_Pending_ECC_Cnt 100 100 0 1",
        "197 Read_Failure_Blk_Ct 100 100 0 1",
        "225 Host_Writes_32MiB 100 100 0 325752",
        "225 Data_Log_Write_Count 0 191 0 113863634",
        "193 Unknown_SSD_Attribute 100 100 0 7",
        "193 Power_Fail_Uncompl_Cnt 100 100 0 7",
        "187 Total_Unc_NAND_Reads 100 100 0 7",
        "5 Runtime_Bad_Block 100 100 0 7",
        "160 Uncorrectable_Error_Cnt 100 100 0 25",
        "196 Reallocated_Event_Count 100 100 0 25",
    ],
)
def test_another_name_is_another_value(row: str) -> None:
    assert count_of(row) == {}


@pytest.mark.parametrize(
    ("raw", "count"),
    [(12884967426, 2), (17179934722, 2), (60130394112, 0), (8060931, 3), (25770000384, 0), (393274, 58)],
)
def test_packed_words_hold_the_count_of_failed_reads_in_the_lowest(raw: int, count: int) -> None:
    assert count_of(f"187 Reported_Uncorrect 100 100 0 {raw}") == {Counter.REPORTED: count}


@pytest.mark.parametrize(
    "row",
    [
        "197 Current_Pending_Sector 100 100 0 281474976710655",
        "197 Current_Pending_Sector 100 100 0 1684300900",  # 0x64646464
        "197 Current_Pending_Sector 100 100 0 4294967280",  # 0xfffffff0: counted below 0
        "197 Current_Pending_Sector 100 100 0 12884967426",
        "187 Reported_Uncorrect 100 100 0 281474976710655",
        "187 Uncorrectable_Error_Cnt 100 100 50 3200172",
        "193 Load_Cycle_Count 95 95 0 249108210344",
        "199 UDMA_CRC_Error_Count 100 100 0 148022252",
        "199 SATA_CRC_Error_Count 100 100 0 524544",
        "5 Reallocated_Sector_Ct 100 100 10 51200 (0 1)",
        "5 Reallocated_Sector_Ct 100 100 10 100",
        "4 Start_Stop_Count 100 100 0 0x055e0114055e",
        "4 Start_Stop_Count 100 100 0 -",
    ],
)
def test_garbage_is_no_count(row: str) -> None:
    assert count_of(row) == {}


def test_an_ssd_s_pending_sectors_that_are_its_replaced_blocks() -> None:
    """Unlisted firmware of Silicon Motion; on a hard drive the two numbers are equal by chance."""
    rows = [attribute(f"{number} {name} 100 100 0 3") for number, name in _PAIR]
    assert counters_of(rows, solid_state=True) == {Counter.REALLOCATED: 3}
    assert counters_of(rows, solid_state=False) == {Counter.REALLOCATED: 3, Counter.PENDING: 3}


_PAIR = ((5, "Reallocated_Sector_Ct"), (197, "Current_Pending_Sector"))


@pytest.mark.parametrize(
    ("row", "used"),
    [
        ("177 Wear_Leveling_Count 1 1 0 2981", 99),
        ("177 Wear_Leveling_Count 24 24 5 917", 76),
        ("173 Wear_Leveling_Count 69 69 0 386", 31),
        ("231 SSD_Life_Left 0 0 0 0", 100),
        ("231 SSD_Life_Left 23 23 0 23", 77),
        ("231 SSD_Life_Left 100 100 0 52", 48),
        ("231 SSD_Life_Left 100 100 0 100", 0),
        ("231 SSD_Life_Left 65 65 0 1", 35),
        # nearly new by Phison, nearly worn out or nearly new by others
        ("231 SSD_Life_Left 9 9 0 91", None),
        ("231 SSD_Life_Left 99 99 5 1", None),
        ("231 SSD_Life_Left 100 100 0 0", None),
        ("231 SSD_Life_Left 95 95 10 0x000064640000", 5),
        ("202 Percent_Lifetime_Remain 16 16 1 84", 84),
        ("202 Perc_Rated_Life_Used 83 17 0 17", 17),
        ("169 Remaining_Lifetime_Perc 100 100 0 52", 48),
        ("169 Remaining_Lifetime_Perc 0 0 0 0", 100),
        ("169 Remaining_Lifetime_Perc 99 99 10 0", 1),
        ("169 Remaining_Lifetime_Perc 98 98 0 3145740", 2),
        ("169 Remaining_Lifetime_Perc 100 100 0 0", None),
        ("169 Remaining_Lifetime_Perc 43 0 0 43", 57),
        ("245 Percent_Life_Remaining 92 92 0 92", 8),
        ("231 Lifetime_Left 30 30 0 30", 70),
        ("248 Perc_Rated_Life_Remain 12 12 0 12", 88),
        ("233 Media_Wearout_Indicator 53 53 0 0", 47),
        # of other makes, or by smartctl's default name
        ("230 Media_Wearout_Indicator 1 1 0 0x000300000003", None),
        ("230 Media_Wearout_Indicator 1 1 0 0", None),
        ("233 Media_Wearout_Indicator 0 0 0 1368390", None),
        ("233 Media_Wearout_Indicator 1 1 0 12580813257", None),
        ("233 SandForce_Internal 0 0 0 54868", None),
        ("177 Wear_Range_Delta 0 0 0 9", None),
        ("177 Wear_Leveling_Count 0 0 0 1", None),
        ("230 Life_Curve_Status 100 100 0 56", None),
        ("232 Available_Reservd_Space 3 3 10 0", None),
    ],
)
def test_wear_goes_by_the_name(row: str, used: int | None) -> None:
    assert wear_of((attribute(row),)) == used


def test_the_higher_one_of_two_wear_values_counts() -> None:
    """The other one is not maintained by the firmware."""
    rows = [attribute("177 Wear_Leveling_Count 100 100 50 7009")]
    rows.append(attribute("169 Remaining_Lifetime_Perc 100 100 0 27"))
    assert wear_of(rows) == 73


@pytest.mark.parametrize(
    ("erasures", "rated", "used"), [(2883, 3000, 96), (44382, 3000, 254), (1, 9, None), (0, 0, None)]
)
def test_erase_counts_say_what_the_life_left_does_not(erasures: int, rated: int, used: int | None) -> None:
    rows = [
        attribute("169 Remaining_Lifetime_Perc 100 100 0 0"),
        attribute(f"167 Average_Erase_Count 100 100 0 {erasures}"),
        attribute(f"168 Max_Erase_Count_of_Spec 100 100 0 {rated}"),
    ]
    assert wear_of(rows) == used


@pytest.mark.parametrize(
    ("rows", "reported", "used"),
    [
        ((), 97, 97),
        ((), 134, 134),
        ((), 255, None),
        ((), -1, None),
        (("177 Wear_Leveling_Count 0 0 0 1",), 100, None),
        (("177 Wear_Leveling_Count 0 0 0 1",), 12, 12),
        (("231 SSD_Life_Left 100 100 0 52",), 0, 48),
        (("231 SSD_Life_Left 9 9 0 91",), 91, None),
        (("231 SSD_Life_Left 9 9 0 91",), 8, 8),
    ],
)
def test_smartctl_s_own_value_counts_unless_it_is_a_guess(
    rows: tuple[str, ...], reported: int, used: int | None
) -> None:
    """Since 7.5 smartctl takes it from the value of these attributes too, whatever the make."""
    assert wear_of([attribute(row) for row in rows], reported=reported) == used


@pytest.mark.parametrize(("statistics", "used"), [(0, 1), (117, 117), (255, 1), (None, 1)])
def test_the_device_statistics_count_besides_the_attributes(statistics: int | None, used: int) -> None:
    """255 is not a value: SandForce drives of Intel have it when they are new."""
    assert wear_of((attribute("177 Wear_Leveling_Count 99 99 0 7"),), statistics) == used


@pytest.mark.parametrize(
    ("rows", "celsius"),
    [
        (("194 Temperature_Celsius 119 103 0 31",), 31),
        (("190 Airflow_Temperature_Cel 69 56 40 31 (Min/Max 24/36)",), 31),
        (("190 Airflow_Temperature_Cel 69 56 40 31", "194 Temperature_Internal 31 44 0 33 (0 15 0 0 0)"), 33),
        (("194 Temperature_Celsius 100 100 0 128 (0 127 0 129 0)",), None),
        (("194 Temperature_Celsius 100 100 0 0", "190 Drive_Temperature 61 60 0 39"), 39),
        (("190 SATA_Error_Ct 100 100 0 39",), None),
        (("194 Proprietary_194 100 100 0 0x1f",), None),
    ],
)
def test_temperature(rows: tuple[str, ...], celsius: int | None) -> None:
    assert temperature_of([attribute(row) for row in rows]) == celsius


def test_values_that_no_drive_can_have() -> None:
    assert [credible_temperature(n) for n in (None, -273, 0, 1, 127, 128, 255)] == [
        *(None, None, None, 1, 127, None, None)
    ]
    assert [credible_temperature_limit(n) for n in (None, 0, 25, 60, 85, 128)] == [
        None,
        None,
        None,
        60,
        85,
        None,
    ]
    assert [credible_hours(n) for n in (None, 0, 70000, 899232, 7561256, 5124018153285616)] == [
        *(None, 0, 70000, None, None, None)
    ]


@pytest.mark.parametrize(
    ("logged", "now", "hours"),
    [
        ([4400], 70000, [69936]),
        ([4400, 4000, 65000], 70000, [69936, 69536, 65000]),
        ([60000], 70000, [60000]),
        ([7251], 73000, [72787]),
        ([100], 200000, [196708]),
        ([35300, 35200], 35392, [35300, 35200]),
        ([35393], 35392, [35393]),
        ([65280], 9000, [None]),
        ([None, 10], 20, [None, 10]),
        ([4400], None, [4400]),
    ],
)
def test_the_hours_of_the_self_test_log_begin_again(
    logged: list[int | None], now: int | None, hours: list[int | None]
) -> None:
    assert list(self_test_hours(logged, now)) == hours


@given(st.lists(st.integers(0, 65535)), st.integers(0, 262800))
def test_no_self_test_is_from_the_future(logged: list[int], now: int) -> None:
    known = [hours for hours in self_test_hours(logged, now) if hours is not None]
    assert all(hours <= now + 1 + n for n, hours in enumerate(known))


@pytest.mark.parametrize(
    ("model", "form_factor", "loads"),
    [
        ("WDC WD20EZRX-00D8PB0", "3.5 inches", 300_000),
        ("WDC WD1200BB-00HTA0", "", 300_000),
        ("ST4000DM000-1F2168", "3.5 inches", 300_000),
        ("TOSHIBA DT01ACA300", "3.5 inches", 300_000),
        ("WDC WD30PURX-64P6ZY0", "3.5 inches", 300_000),
        ("", "", 300_000),
        ("WDC WD20EFRX-68EUZN0", "3.5 inches", 600_000),
        ("WDC WD2003FYYS-18W0B0", "", 600_000),
        ("WDC WD181KFGX-68AFPN0", "3.5 inches", 600_000),
        ("ST4000VN008-2DR166", "3.5 inches", 600_000),
        ("ST16000NM001G-2KK103", "3.5 inches", 600_000),
        ("HGST HUS726T4TALA6L4", "3.5 inches", 600_000),
        ("TOSHIBA MG08ACA16TE", "3.5 inches", 600_000),
        ("TOSHIBA HDWQ140", "3.5 inches", 600_000),
        ("an unknown drive", "2.5 inches", 600_000),
        ("WDC WD3200BEVT-00ZCT0", "", 600_000),
        ("Hitachi HTS723232L9A360", "", 600_000),
        ("APPLE HDD HTS541010A9E662", "", 600_000),
        ("ST9250410AS", "", 600_000),
    ],
)
def test_head_loads_that_a_drive_is_rated_for(model: str, form_factor: str, loads: int) -> None:
    assert rated_loads(model, form_factor) == loads


def test_a_drive_that_reports_no_rotation_rate_is_an_ssd_by_its_attributes() -> None:
    assert is_solid_state((attribute("231 SSD_Life_Left 99 99 0 99"),)) is True
    assert is_solid_state((attribute("3 Spin_Up_Time 99 99 0 99"),)) is None


@given(
    st.lists(
        st.builds(
            Attribute,
            st.integers(0, 255),
            st.sampled_from(
                ["Load_Cycle_Count", "Reported_Uncorrect", "SSD_Life_Left", "Temperature_Celsius"]
            ),
            *[st.none() | st.integers(0, 255)] * 3,
            st.integers(0, (1 << 64) - 1).map(str) | st.text(max_size=20),
            st.booleans(),
        )
    ),
    st.none() | st.integers(),
)
def test_any_attributes_can_be_read(rows: list[Attribute], reported: int | None) -> None:
    assert all(0 <= count < 1 << 24 for count in counters_of(rows, solid_state=True).values())
    assert 0 <= (wear_of(rows, reported, reported) or 0) < 255
    temperature_of(rows)
