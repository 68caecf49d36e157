"""The findings of the doctor: one module for each cause of disk accesses.

A finding is a module with

- a docstring, which is its manual: the first line says what touches the disk; then the cause, the cost, and
  the source (man page, kernel document);
- ``FIX: Final``: what ``--fix`` does, one clause for docs/doctor.md; "" = it is repaired by hand only;
- ``def detect(machine: Machine) -> Iterator[Diagnosis]``: yields what applies to this machine now. It is
  pure: it uses the Machine only. It yields nothing when the cause cannot touch a hard disk here, and nothing
  once the fix is in effect.

``tests/doctor/findings/`` has one test module per finding, and docs/doctor.md one row.
"""
