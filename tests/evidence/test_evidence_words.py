"""Sentences of this room are said in Chinese too, a sentence inside a sentence included."""

import sqlite3

import pytest

from tongzhou.evidence import EvidenceCheckError, EvidenceNotFoundError, Log, verify_log
from tongzhou.i18n import say


def test_a_named_entry_is_named_in_chinese(world) -> None:
    with world.new_log() as log:
        log.append({"n": 5}, kind="grant", key="g")
    world.opened.clear()
    connection = sqlite3.connect(world.path, isolation_level=None)
    connection.execute("UPDATE bodies SET salt = zeroblob(31)")
    connection.close()
    with pytest.raises(EvidenceCheckError) as caught:
        verify_log(world.path, log_key=world.bank.vkey)
    assert say(caught.value, "en") == str(caught.value)
    assert say(caught.value, "zh") == "第 0 条记录（grant）格式不符：盐值有 31 字节；须为 32 字节"


def test_a_missing_log_is_said_in_chinese(tmp_path) -> None:
    with pytest.raises(EvidenceNotFoundError) as caught:
        Log.open(tmp_path / "none.db")
    assert say(caught.value, "zh") == f"没有文件 {tmp_path / 'none.db'}"
