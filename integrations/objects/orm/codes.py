"""The tables of the priority upgrade: HL7 v2.5.1 chapter 4."""

from integrations.objects.context import PriorityMessage

# Table 0119, "Order control codes": "Change order/service request".
CHANGE_ORDER = "XO"

# hl7apy takes the alternatives of ORM_O01's detail segment as all required, so it can check OMI_O23 only.
CHECKABLE = frozenset({PriorityMessage.OMI_O23})

REQUIRED = {
    "MSH": (3, 7, 9, 10, 11, 12, 18),
    "PID": (3, 5),
    "ORC": (1, 3),
    "TQ1": (9,),
    "OBR": (3, 4),
}
