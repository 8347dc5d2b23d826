"""Legal forms of companies: the spellings that mean one form, and the one that a normal form writes.

Only spellings of the *same* form are brought together. By article 7 of China's Company Law a limited
company may call itself 有限责任公司 or 有限公司, and a company limited by shares
股份有限公司 or 股份公司; a limited company and one limited by shares stay two. Latin
forms follow the abbreviations of ISO 20275.
"""

__all__ = [
    "BRANCH_ENDINGS",
    "CHINESE_ENDINGS",
    "CHINESE_FORMS",
    "EASTERN_MARKS",
    "LATIN_FORMS",
    "LATIN_PREFIXES",
]

CHINESE_FORMS = {"有限责任公司": "有限公司", "股份责任有限公司": "股份有限公司"}
"""Replaced wherever they stand: branches carry the form in their middle."""

CHINESE_ENDINGS = (
    "股份有限公司", "有限公司", "股份公司", "合伙企业有限合伙", "合伙企业普通合伙",
    "合伙企业特殊普通合伙", "合伙企业", "有限合伙", "普通合伙", "特殊普通合伙", "个人独资企业",
    "农民专业合作社", "专业合作社", "股份合作公司", "联合社", "总公司", "公司", "株式会社", "有限会社",
    "合同会社", "合资会社", "合名会社", "주식회사", "유한회사", "事务所", "基金会", "研究院", "研究所",
    "信用社", "经营部", "商行", "工作室",
)  # fmt: skip
"""What a Chinese, Japanese or Korean name may end with, the longer before what it ends with itself."""

BRANCH_ENDINGS = (
    "分公司", "分行", "支行", "分理处", "营业部", "营业所", "办事处", "代表处", "分店", "分厂", "分所",
    "分中心", "分社",
)  # fmt: skip
"""Endings of an office that is no company of its own; it stands behind the company's whole name."""

EASTERN_MARKS = {
    "(株)": "株式会社",
    "(有)": "有限会社",
    "(合)": "合同会社",
    "(주)": "주식회사",
    "(유)": "유한회사",
}
"""Abbreviations in brackets; the characters in one square, such as ㈱, become these by NFKC."""

_LATIN = {
    "LTD": "LTD LIMITED",
    "CO LTD": "COLTD COLIMITED COMPANYLIMITED COMPANYLTD LIMITEDCOMPANY",
    "PTE LTD": "PTELTD PTELIMITED PRIVATELIMITED PRIVATELTD PVTLTD PVTLIMITED PLTD",
    "PTY LTD": "PTYLTD PTYLIMITED PROPRIETARYLIMITED PROPRIETARYLTD",
    "PTE": "PTE", "PTY": "PTY", "PVT": "PVT",
    "CO": "CO COMPANY", "AND CO": "ANDCO ANDCOMPANY",
    "PLC": "PLC PUBLICLIMITEDCOMPANY", "CIC": "CIC", "DAC": "DAC DESIGNATEDACTIVITYCOMPANY",
    "INC": "INC INCORPORATED", "CORP": "CORP CORPORATION",
    "LLC": "LLC LIMITEDLIABILITYCOMPANY", "PLLC": "PLLC", "LC": "LC",
    "LP": "LP LIMITEDPARTNERSHIP", "LLP": "LLP LIMITEDLIABILITYPARTNERSHIP", "LLLP": "LLLP",
    "NA": "NA NATIONALASSOCIATION",
    "GMBH": "GMBH GESELLSCHAFTMITBESCHRANKTERHAFTUNG", "GGMBH": "GGMBH", "MBH": "MBH",
    "GMBH CO KG": "GMBHCOKG GMBHANDCOKG GMBHUNDCOKG GMBHCOKOMMANDITGESELLSCHAFT "
    "GMBHANDCOKOMMANDITGESELLSCHAFT",
    "GMBH CO KGAA": "GMBHCOKGAA GMBHANDCOKGAA",
    "AG": "AG AKTIENGESELLSCHAFT", "KG": "KG KOMMANDITGESELLSCHAFT", "KGAA": "KGAA",
    "CO KG": "COKG ANDCOKG UNDCOKG",
    "OHG": "OHG", "EK": "EK EKFM", "UG": "UG UGHAFTUNGSBESCHRANKT", "EG": "EG", "EV": "EV",
    "SE": "SE SOCIETASEUROPAEA",
    "GESMBH": "GESMBH",
    "SA": "SA SOCIETEANONYME SOCIEDADANONIMA SOCIEDADEANONIMA", "SCA": "SCA", "SCS": "SCS", "SCSP": "SCSP",
    "SAS": "SAS SOCIETEPARACTIONSSIMPLIFIEE", "SASU": "SASU", "SNC": "SNC", "EURL": "EURL",
    "SCI": "SCI SOCIETECIVILEIMMOBILIERE",
    "SARL": "SARL SOCIETEARESPONSABILITELIMITEE SARLAU", "SICAV": "SICAV", "GIE": "GIE",
    "SL": "SL SOCIEDADLIMITADA", "SLU": "SLU", "SAU": "SAU", "SLL": "SLL",
    "SA DE CV": "SADECV", "S DE RL DE CV": "SDERLDECV", "LTDA": "LTDA LIMITADA", "LDA": "LDA",
    "EIRELI": "EIRELI",
    "SPA": "SPA SOCIETAPERAZIONI", "SRL": "SRL SOCIETAARESPONSABILITALIMITATA", "SRLS": "SRLS",
    "SAPA": "SAPA",
    "BV": "BV BESLOTENVENNOOTSCHAP", "NV": "NV NAAMLOZEVENNOOTSCHAP", "CV": "CV", "VOF": "VOF",
    "BVBA": "BVBA",
    "CVBA": "CVBA", "SPRL": "SPRL", "UA": "UA",
    "AB": "AB AKTIEBOLAG", "AB PUBL": "ABPUBL", "HB": "HB", "KB": "KB",
    "AS": "AS AKTIESELSKAB AKSJESELSKAP AKCIOVASPOLECNOST ANONIMSIRKETI", "ASA": "ASA",
    "APS": "APS ANPARTSSELSKAB",
    "IVS": "IVS", "KS": "KS", "ANS": "ANS", "DA": "DA",
    "OY": "OY OSAKEYHTIO", "OYJ": "OYJ", "OY AB": "OYAB", "KY": "KY", "EHF": "EHF", "HF": "HF",
    "SRO": "SRO SPOLSRO SPOLOCNOSTSRUCENIMOBMEDZENYM SPOLECNOSTSRUCENIMOMEZENYM",
    "VOS": "VOS", "OU": "OU OSAUHING", "UAB": "UAB", "SIA": "SIA",
    "SP ZOO": "SPZOO SPOLKAZOGRANICZONAODPOWIEDZIALNOSCIA", "SPOLKA AKCYJNA": "SPOLKAAKCYJNA",
    "SP K": "SPK SPOLKAKOMANDYTOWA", "SP ZOO SP K": "SPZOOSPK",
    "KFT": "KFT KORLATOLTFELELOSSEGUTARSASAG", "ZRT": "ZRT ZARTKORUENMUKODORESZVENYTARSASAG",
    "NYRT": "NYRT NYILVANOSANMUKODORESZVENYTARSASAG", "BT": "BT", "RT": "RT",
    "DOO": "DOO", "DD": "DD", "AD": "AD", "EOOD": "EOOD", "OOD": "OOD", "EAD": "EAD",
    "JSC": "JSC JOINTSTOCKCOMPANY", "PJSC": "PJSC PUBLICJOINTSTOCKCOMPANY", "OJSC": "OJSC", "CJSC": "CJSC",
    "OOO": "OOO", "PAO": "PAO", "AO": "AO", "ZAO": "ZAO", "OAO": "OAO",
    "LTD STI": "LTDSTI LIMITEDSIRKETI",
    "SDN BHD": "SDNBHD SENDIRIANBERHAD", "BHD": "BHD BERHAD", "TBK": "TBK", "PT": "PT PERSEROANTERBATAS",
    "KK": "KK KABUSHIKIKAISHA KABUSHIKIGAISHA", "GK": "GK GODOKAISHA", "YK": "YK",
    "FZE": "FZE", "FZCO": "FZCO", "FZ LLC": "FZLLC", "WLL": "WLL", "PSC": "PSC", "QPSC": "QPSC", "SAL": "SAL",
    "SAE": "SAE", "SAOG": "SAOG", "SAOC": "SAOC", "PCL": "PCL PUBLICCOMPANYLIMITED PUBLICCOLTD",
    "JV": "JV",
}  # fmt: skip

LATIN_FORMS = {spelling: form for form, spellings in _LATIN.items() for spelling in spellings.split()}
"""Spelling without blanks -> what the normal form writes."""

LATIN_PREFIXES = frozenset({"PT", "OOO", "PAO", "AO", "ZAO", "OAO", "UAB", "SIA"})
"""Forms that may stand before the name, as the law of their country has it."""
