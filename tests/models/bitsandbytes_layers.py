"""Layers as bitsandbytes 0.50.2 quantises them, in state dicts: 8 bits, 4 in both codes, nested tables.

Made on the CPU by `Linear8bitLt` and `Linear4bit` from random weights, saved by safetensors, compressed by zlib.
"""

import base64
import zlib

from safetensors.torch import load
from torch import Tensor

_SAVED = (
    "c-p0w3s4kw9LEpPEHp&G7YQ6EhT;nBy>It+F9{V>Gi7oTMLgtAP~^}%A7BueIul|@DFxb0h~|i+qfm0*-QFoS=Hu{@Dfu8o9c6qGre=*o-vu<3"
    "qcU&iX7~U3|M$DU$9H%CF+BxszvUu*x-@*LE@f`ADO{UqT%cVhqLz!2Od07q5hWTc5sL_sF<HxxW=P@*QIgiAO)%*7MxDtB6iJZc_$;Ec%EHCk"
    "G*iL?ZF=`Yq`a#VDJB$hUMeNcqzsRJJL-kvP{;|TlD|4lXEf=Op2X5VO8B?L$gYA)C7}{`EBGIB6w6#BsS*<;Ny@wG{@<cO42sIgHbwo*bdpzr"
    "R7cYKmu@G?=gJr1NlV-HI;)IVb`FV<M!Ir^3<*lwo$<HHI;*_jSw$fuTr`sxAV{f<bZJ$iNo&%DC#IN;+O(v^43o~7kbp(q-@{e95GP2PSn*uC"
    "33|h#1={Z8b)f_iUa6~_yA>fLU1tpuf|N@nUG3J@AI}I%U5G)47gKcST~}3vjk*t7rf_)|B(G3OpEco&wi^Njsg$c+TKPo-b=hu+6QoKii_gju"
    "^1pFbZ`P9U&2Gzkjpg5~JIc%H9pzyffgneNbDrTChGWi?c`L>aj2$?)1K}8kV~$<$Rsbsy4q*kCg0c1_Es<n9N{TbFcBumqIBJ{*heVPJmJFr?"
    "(}Kl=#eq!&iv^nuHUTUKEE;Sy7z3tqNF{PGF<1oHNU%__5HKNF0N7x#{$M^}USPe!dO4g<59kRTV#yzf^RC_LykRdXzGBzwFWM!NGhoNT4uLtq"
    "%wT)K%E2~+Z3J6ymrB-xt+p2zXJOu8uW`->p9&U@H8QYJut8v+U=KN|<N~+q<`M4q;ooy}^>(hd%*@3!RB-0Nom|+=ZCpulDd$<ckz4Lp#NC{-"
    "j*BnI<7%8MG0w*MB98H#%LT2P!3hNKaSfT#+`;=wt}J~NG=rfx09u~hRC9~1|E}w{+Om_jlHz@~_=3&0pjB&Z2k$4_Vj3u05*=h4)MJ3H#@WY~"
    "yTQXY&vwsxdeUVpU4O#5C7rXr?!Lon`ut04UC3%{Ug})y%z`NEsEPpVqwUR>ubQ@5T6Ie;Y~yrG&OEi{z^y=wo59WU@#P=(^}L?HuXpXxeG`H#"
    "=E|l#vouFxekH1+s<o$k)q4N9y;Wtt-|=3-QHHS`T!DE7)+w=GiR+ZOUIiT$^i<HLpikjG6z)giz7+0HAr1=h(1?phd^F;u5igCnX~a(>4;uN<"
    "$csjPYUHU#zG~#HM*eElL5+H-Q5QApqeh+7sFxab!@MVhIx?sygSs-PFM~QWs5gVUGpIj<J}~G9gTCNAk3pX>E@IF(2K{5uM+W_5&{qcig`S;3"
    "zoB`ALI0ukkbxgq_=1H$Soj3bMKlZFfXxOou<#SuY8L(iUyn5#S@;gD9P@j?%wP_%Ltw|j&VXG6y8?Ct>@Evmg9|k9xdwj6v)fw(|7-9ZXz)CM"
    "4F(GU6M}_+g@TO)ivSaY$-z`$4A^L}Xbqk}unAz3!D7LtfyIHvgK5EZV98*qU<NQF*ix`eu<W+?2mg-PqY^tJ=fC3kT71+#X>*}nBV+6fmsvR8"
    "AFY3GX099!Ve5K)$Wk6VS@V_#c1JI7O{K4@<9csaki-A^chk#h6=kTE+BaqDEk`d66tK4|*7WZ8ZCKB9OCHO{*MCGWs?8V|S37WTQPiqYJ1;cn"
    "j*ax4b1OgGXZxvfm9bHU%|ogTKLrkFPd2(W`%8Bpc=d~-h1EmPecEixt+;-CMaiJG7Z+Pk=ASPudKB%oIQX-~zJ>E9Hp=hhmoAITb`Cv39Xl1h"
    "Wy#iSl*8XbTwQpc$q+ey6a9F3Oz5cU8C9wEzGJC~T_fZpN=;YasSepnsl>8tW759aK3+W{_?Kg))#9MKcd22^MeW~#_IJII-w%igp(rucFlW9o"
    "C6i}zDL~TG1*rzDiQn)DpL`R9*sTa<*mMa-gcWW&)W6amdiaw;P3Nk;9}j72iM<_B<Im3AG|}HXu>Mm2Kp*!zckZ2V)TvjB0<VSt9C4t98P@1G"
    "rXV+e{}lR-M&Hu?f>~a4&h5v6`F<XyT%q5Iv%C8cJ^^WUrs=01xVL)M-L*|PefqHA`N;XN);~s`*cLh|e?D{tc3Q%YuXsY|%lX~b(+O7v=$LB%"
    "5@IegoFo;bQX$LA>PKbI8{?*^@wLzT;8#D5k9UM~#X6rlMbnYXg+9)aXEW=4kGHPN?R#lMYz24I?Wj+Sv{%0rCZZvx<S^kL6&W|++LB!@58ST@"
    "zi^)2q{(;aFW*DtLI"
)
DIGESTS = {"nf4": "518c2ca59ccb916d", "nested": "2439a279b08ced1d", "fp4": "695d3163f4e93544"}
"""BLAKE2b, 8 bytes, of the float32 numbers of what its `dequantize_4bit` returns for each layer's weight."""


def layers() -> dict[str, Tensor]:
    """The tensors by name."""
    return load(zlib.decompress(base64.b85decode(_SAVED)))
