"""Owns the short forms of first names that stand for one person.

Left out on purpose: pairs such as Jon/John, Brian/Bryan, Erin/Aaron, Anna/Hannah or Emma/Emily, which are the names
of twins as often as they are one name. A nickname is a hint for the ranking; it never links by itself.
"""

from __future__ import annotations

_GROUPS = """
abigail abby gail; alexander alex alec sandy xander; alexandra alex sandra sandy lexie; alfred alf alfie fred;
amanda mandy; andrew andy drew; angela angie; anthony tony; antonio tony; archibald archie; arthur art; barbara
barb babs; benjamin ben benny benji; bernard bernie; bradley brad; cameron cam; caroline carrie caz; catherine
cathy cath kate katie; charles charlie chuck chas; charlotte charlie lottie; christine chris chrissy tina;
christopher chris kit topher; clifford cliff; daniel dan danny; david dave davey; deborah deb debbie; dennis den
denny; dominic dom; donald don donny; dorothy dot dottie dolly; douglas doug; edward ed eddie ted teddy ned;
eleanor ellie nell nellie; elizabeth liz lizzie beth betty eliza lisa libby betsy; ernest ernie; eugene gene;
frances fran frankie; francis frank frankie; franklin frank; frederick fred freddie; gabriel gabe; gabrielle
gabby; geoffrey geoff; gerald gerry jerry; gregory greg; harold harry hal; henry harry hank; isabella bella
izzy; jacqueline jackie; james jim jimmy jamie; jasmine jaz; jeffrey jeff; jennifer jen jenny; jeremy jez;
jessica jess jessie; john jack johnny; jonathan jon jonny; joseph joe joey; josephine jo josie; joshua josh;
judith judy; katherine kathy kath kate katie kat; kathleen kathy kath; kenneth ken kenny; kimberly kim; lawrence
larry laurie; leonard len lenny leo; lesley les; leslie les; louis lou; louise lou; lucas luke; madeleine
maddie; madison maddie; margaret maggie meg peg peggy marg marge rita; martin marty; matilda tilly; matthew
matt; maxwell max; michael mike mick mickey; michelle shelly; mitchell mitch; mohammed mo; nathan nate;
nathaniel nate nat; natalie nat; nicholas nick nicky; nicola nicky; nicole nicky nikki; oliver ollie; olivia liv
livvy; pamela pam; patricia pat patty tricia trish; patrick pat paddy; penelope penny; peter pete; philip phil;
phillip phil; raymond ray; rebecca bec becky; reginald reg; richard rick dick ricky rich richie; robert rob bob
bobby robbie; roberta bobbie; rodney rod; ronald ron ronnie; rosemary rose rosie; russell russ; samantha sam
sammy; samuel sam sammy; sarah sally; sebastian seb; stanley stan; stephanie steph; stephen steve; steven steve;
stuart stu; suzanne sue suzie; susan sue susie; terence terry; theodore ted theo; theresa terry tess; thomas tom
tommy; timothy tim timmy; valerie val; vanessa nessa; victor vic; victoria vicky tori; vincent vince; virginia
ginny; walter wally walt; wendy wen; william bill billy will willy liam; zachary zac zach
"""


def _formal_names() -> dict[str, frozenset[str]]:
    formal: dict[str, set[str]] = {}
    for group in _GROUPS.split(";"):
        head, *short = group.split()
        for name in (head, *short):
            formal.setdefault(name, set()).add(head)
    return {name: frozenset(heads) for name, heads in formal.items()}


_FORMAL = _formal_names()


def are_nicknames(one: str, other: str) -> bool:
    """True when both names (folded, without spaces) are forms of one formal name; equal in both directions."""
    return not _FORMAL.get(one, frozenset()).isdisjoint(_FORMAL.get(other, frozenset()))
